"""Revisions as Deployments of a cluster in memory; what all backends keep is in tests/contract/test_serving.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ferryml.backends.kubernetes.jobs import NoExplainer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, POD_BUDGETS, PODS, SERVICES
from ferryml.backends.kubernetes.kube import name_of
from ferryml.backends.kubernetes.observe import View
from ferryml.compile.kubernetes.names import revision_name
from ferryml.domain.errors import Forbidden, Refused, Unavailable
from ferryml.domain.orders import RevisionOrder
from ferryml.domain.seen import InstanceSeen, JobSeen
from ferryml.domain.statuses import Finding
from fixtures_serving import Shelf, a_revision, until
from kube_serving_play import NAMESPACE, PlayKubelet, PlayServing

UID, A = "endpoint.ws.one", "a" * 10
NAME = revision_name(UID, A)
SCORE = "def init(): pass\ndef run(d): return [1]"


class Scene:
    """One endpoint and one agent."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.kubelet = shelf, PlayKubelet(shelf)
        self.kube = self.kubelet.kube
        self.play = PlayServing(self.kubelet, (UID,))
        self.backend = self.play.backend

    def order(self, **fields: Any) -> RevisionOrder:
        return a_revision(self.shelf, SCORE, **fields)

    def scale(self, count: int = 1, **fields: Any) -> None:
        self.backend.scale(UID, self.order(**fields), count, 0)

    def ready(self, count: int = 1) -> list[InstanceSeen]:
        return until(lambda: self._ready(count))

    def _ready(self, count: int) -> list[InstanceSeen] | None:
        seen = [one for one in self.backend.observe(UID) if one.state == "ready"]
        return seen if len(seen) == count else None

    def deployment(self) -> Any:
        return self.kube.get(DEPLOYMENTS, NAMESPACE, NAME)

    def close(self) -> None:
        self.play.close()
        self.kubelet.stop()


@pytest.fixture
def scene(shelf: Shelf, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(shelf)
    yield made
    made.close()


def test_everything_belongs_to_the_endpoint(scene: Scene) -> None:
    scene.scale()
    held = scene.play.ledger.held(UID)
    assert held is not None
    for kind in (DEPLOYMENTS, SERVICES, CONFIG_MAPS):
        body = scene.kube.get(kind, NAMESPACE, NAME)
        assert body is not None
        assert [one["uid"] for one in body["metadata"]["ownerReferences"]] == [held.object_uid]
    assert scene.play.door.admitted == [(UID, 1, NAMESPACE, f"{NAME}-", "serving")]
    policies = {name_of(body) for body in scene.kube.list(NETWORK_POLICIES, NAMESPACE).items}
    assert policies == {"ferry-endpoints", "ferry-endpoints-bound"}
    scene.ready()
    scene.backend.stop(UID, A, 0)
    assert not any(scene.kube.get(kind, NAMESPACE, NAME) for kind in (DEPLOYMENTS, SERVICES, CONFIG_MAPS))


def test_a_count_changes_nothing_else(scene: Scene) -> None:
    scene.scale()
    before = scene.deployment()["spec"]["template"]
    scene.ready()
    writes = len(scene.kube.log)
    scene.scale(3, instances=3, max_instances=9)
    scene.scale(3, instances=3)
    assert scene.deployment()["spec"] == {**scene.deployment()["spec"], "replicas": 3, "template": before}
    assert [verb for verb, kind, _ in scene.kube.log[writes:] if kind == "Deployment"] == ["patch"]
    scene.ready(3)


def test_a_budget_stands_as_long_as_there_are_several(scene: Scene) -> None:
    scene.scale()
    assert scene.kube.get(POD_BUDGETS, NAMESPACE, NAME) is None
    scene.scale(2)
    budget = scene.kube.get(POD_BUDGETS, NAMESPACE, NAME)
    assert budget is not None
    assert budget["spec"]["maxUnavailable"] == 1
    scene.scale(3)
    assert scene.kube.get(POD_BUDGETS, NAMESPACE, NAME) is not None
    scene.scale(1)
    assert scene.kube.get(POD_BUDGETS, NAMESPACE, NAME) is None
    scene.scale(2)
    scene.backend.stop(UID, A, 0)
    assert scene.kube.get(POD_BUDGETS, NAMESPACE, NAME) is None


def test_what_may_change_while_it_runs_makes_pods_anew_and_nothing_else_does(scene: Scene) -> None:
    scene.scale()
    made = scene.deployment()["metadata"]["resourceVersion"]
    scene.scale(max_queue_wait_ms=9, request_timeout_ms=100)
    assert scene.deployment()["metadata"]["resourceVersion"] == made
    scene.scale(request_timeout_ms=300_000)
    assert scene.deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 300


def test_a_pod_that_someone_removes_leaves_its_number_to_the_next(scene: Scene) -> None:
    scene.scale(2)
    scene.ready(2)
    first = scene.kube.list(PODS, NAMESPACE).items[0]
    scene.kube.delete(PODS, NAMESPACE, name_of(first))
    until(lambda: name_of(first) not in {name_of(pod) for pod in scene.play.watched.pods.all()})
    assert sorted(one.instance for one in scene.ready(2)) == [0, 1]


def test_pods_that_cannot_be_made_say_why(scene: Scene) -> None:
    scene.kubelet.stop()
    scene.scale()
    words = 'pods "x" is forbidden: exceeded quota: none'
    failed = {"type": "ReplicaFailure", "status": "True", "message": words}
    scene.kube.write({**scene.deployment(), "status": {"conditions": [failed]}})
    (seen,) = until(lambda: [one for one in scene.backend.observe(UID) if one.code])
    assert (seen.state, seen.code, seen.reason) == ("starting", "OutOfQuota", words)


def test_an_image_is_waited_for_a_while(scene: Scene) -> None:
    scene.scale()
    scene.ready()
    (pod,) = scene.kube.list(PODS, NAMESPACE).items
    waiting = {"name": "main", "image": "i", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "denied"}}}
    conditions = [{"type": "Ready", "status": "False"}]
    scene.kube.write({**pod, "status": {"phase": "Pending", "conditions": conditions, "containerStatuses": [waiting]}})
    (seen,) = until(lambda: [one for one in scene.backend.observe(UID) if one.code])
    assert (seen.state, seen.code) == ("starting", "ImagePullLoopBackOff")
    scene.play.clock.passes(61)
    (seen,) = scene.backend.observe(UID)
    assert (seen.state, seen.code) == ("failed", "ImagePullLoopBackOff")
    assert "denied" in seen.reason


def test_what_the_cluster_refuses_is_said(scene: Scene) -> None:
    scene.kube.refusals["apply", "Deployment"] = Forbidden("ClusterForbidden", "no", details={"status": 403})
    with pytest.raises(Refused) as refused:
        scene.scale()
    assert refused.value.code == "ClusterForbidden"
    with pytest.raises(Refused) as refused:
        scene.scale(instance_type="unknown")
    assert refused.value.code == "InvalidInstanceType"
    full = Forbidden("ClusterForbidden", "exceeded quota: x", details={"status": 403})
    scene.kube.refusals["apply", "Deployment"] = full
    with pytest.raises(Unavailable):
        scene.scale()


def test_an_endpoint_that_nobody_wishes_for_is_not_made(scene: Scene) -> None:
    with pytest.raises(Unavailable):
        scene.backend.scale("endpoint.ws.unknown", scene.order(), 1, 0)


def test_pods_that_are_ending_are_seen_till_they_are_gone(scene: Scene) -> None:
    scene.scale()
    scene.ready()
    scene.kubelet.stop()
    (pod,) = scene.kube.list(PODS, NAMESPACE).items
    scene.backend.stop(UID, A, 0)
    gone = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2024-05-01T00:00:00Z"}}
    scene.kube.write(gone)
    until(lambda: [one.state for one in scene.backend.observe(UID)] == ["ending"])


class Knows(NoExplainer):
    """An explainer that has found something."""

    def findings(self, uid: str, attempt: int, view: View, seen: JobSeen) -> tuple[Finding, ...]:
        self.asked = (uid, len(view.pods), seen.state)
        return (Finding(code="PodUnschedulable", cause="no room", evidence="0/1 nodes", fix="Ask for less."),)


def test_what_the_cluster_keeps_it_from_is_explained(scene: Scene) -> None:
    scene.scale()
    scene.ready()
    scene.backend.explainer = knows = Knows()
    (pod,) = scene.kube.list(PODS, NAMESPACE).items
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    scene.kube.write({**pod, "status": {"phase": "Pending", "conditions": [unscheduled]}})
    (seen,) = until(lambda: [one for one in scene.backend.observe(UID) if one.code])
    assert (seen.code, seen.reason) == ("PodUnschedulable", "no room (0/1 nodes). Ask for less.")
    assert knows.asked == (UID, 1, "queued")
