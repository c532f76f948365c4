"""The cluster as doctor and inventory ask for it."""

from __future__ import annotations

from contract_kube import config_map
from ferryml.backends.kubernetes.facts import KubeFacts, kind_of
from ferryml.domain.errors import NotFound
from kube_play import PlayKube


def test_kinds_are_named_as_text() -> None:
    assert kind_of("v1/pods").path("n", "p") == "/api/v1/namespaces/n/pods/p"
    assert kind_of("batch/v1/jobs").path("n") == "/apis/batch/v1/namespaces/n/jobs"
    assert kind_of("storage.k8s.io/v1/storageclasses").path() == "/apis/storage.k8s.io/v1/storageclasses"


def test_a_kind_that_is_not_served_has_no_items() -> None:
    class Old(PlayKube):
        def list(self, kind, namespace="", labels="", fields=""):  # type: ignore[no-untyped-def]
            raise NotFound("NotFound", "the server could not find the requested resource")

    assert KubeFacts(Old()).list("kueue.x-k8s.io/v1beta1/localqueues") == ()


def test_a_namespace_is_put_in() -> None:
    made: list[dict[str, object]] = []

    class Listening(PlayKube):
        def create(self, kind, body):  # type: ignore[no-untyped-def]
            made.append(body)
            return body

    facts = KubeFacts(Listening())
    body = config_map("a", "")
    facts.create("v1/configmaps", body, "team")
    assert made[0]["metadata"] == {**body["metadata"], "namespace": "team"}
    assert facts.version() == "1.34.4"
