"""What every `Kube` keeps: tried on the one in memory and on real API servers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, LEASES, ML_JOBS
from ferryml.backends.kubernetes.kube import Kube, Manifest, meta, name_of, version_of
from ferryml.domain.errors import Conflict, NotFound, Refused

LIMIT_S = 10


def config_map(name: str, namespace: str, **data: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"contract": "kube"}}, "data": data,
    }  # fmt: skip


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


class KubeContract:
    """Subclasses give `kube` and `space`, the name of an empty namespace."""

    @pytest.fixture
    def kube(self) -> Kube:
        raise NotImplementedError

    @pytest.fixture
    def space(self) -> str:
        raise NotImplementedError

    def test_applied_is_read_back(self, kube: Kube, space: str) -> None:
        made = kube.apply(config_map("a", space, one="1"))
        found = kube.get(CONFIG_MAPS, space, "a")
        assert found is not None
        assert version_of(found) == version_of(made)
        assert made["data"] == {"one": "1"}
        assert meta(made)["uid"]
        assert kube.get(CONFIG_MAPS, space, "b") is None

    def test_apply_takes_back_what_it_does_not_say_any_more(self, kube: Kube, space: str) -> None:
        kube.apply(config_map("a", space, one="1", two="2"))
        assert kube.apply(config_map("a", space, two="3"))["data"] == {"two": "3"}

    def test_apply_of_the_same_changes_nothing(self, kube: Kube, space: str) -> None:
        first = kube.apply(config_map("a", space, one="1"))
        assert version_of(kube.apply(config_map("a", space, one="1"))) == version_of(first)

    def test_an_unknown_field_is_refused(self, kube: Kube, space: str) -> None:
        with pytest.raises(Refused) as refused:
            kube.apply({**config_map("a", space), "dta": {"one": "1"}})
        assert refused.value.code == "ClusterRefused"
        assert kube.get(CONFIG_MAPS, space, "a") is None

    def test_a_missing_namespace_is_said(self, kube: Kube) -> None:
        with pytest.raises(NotFound) as missing:
            kube.apply(config_map("a", "there-is-none"))
        assert missing.value.details["kind"] == "namespaces"

    def test_create_never_overwrites(self, kube: Kube, space: str) -> None:
        kube.create(CONFIG_MAPS, config_map("a", space, one="1"))
        with pytest.raises(Conflict) as taken:
            kube.create(CONFIG_MAPS, config_map("a", space, one="2"))
        assert taken.value.code == "AlreadyExists"

    def test_replace_needs_the_newest_version(self, kube: Kube, space: str) -> None:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": space}}
        first = kube.create(LEASES, {**body, "spec": {"holderIdentity": "a"}})
        second = kube.replace(LEASES, {**first, "spec": {"holderIdentity": "b"}})
        assert second["spec"]["holderIdentity"] == "b"
        with pytest.raises(Conflict) as stale:
            kube.replace(LEASES, {**first, "spec": {"holderIdentity": "c"}})
        assert stale.value.code == "VersionConflict"

    def test_a_status_is_replaced_whole_and_the_rest_stays(self, kube: Kube, space: str) -> None:
        body = _ml_job("j", space)
        made = kube.apply(body)
        kube.patch_status(ML_JOBS, space, "j", {"phase": "Running", "reason": "x"})
        kube.patch_status(ML_JOBS, space, "j", {"phase": "Completed"}, str(meta(made)["uid"]))
        kube.apply(body)
        found = kube.get(ML_JOBS, space, "j")
        assert found is not None
        assert found["status"] == {"phase": "Completed"}
        assert found["spec"]["uid"] == "job.w.j"

    def test_a_status_of_another_object_is_refused(self, kube: Kube, space: str) -> None:
        kube.apply(_ml_job("j", space))
        with pytest.raises(Refused):
            kube.patch_status(ML_JOBS, space, "j", {"phase": "Running"}, "00000000-0000-0000-0000-000000000000")
        with pytest.raises(NotFound):
            kube.patch_status(ML_JOBS, space, "k", {"phase": "Running"})

    def test_a_patch_changes_only_what_it_says(self, kube: Kube, space: str) -> None:
        kube.apply(config_map("a", space, one="1", two="2"))
        assert kube.patch(CONFIG_MAPS, space, "a", {"data": {"one": None, "three": "3"}})["data"] == {
            "two": "2", "three": "3",
        }  # fmt: skip

    def test_delete_says_whether_it_was_there(self, kube: Kube, space: str) -> None:
        made = kube.apply(config_map("a", space))
        assert not kube.delete(CONFIG_MAPS, space, "a", uid="00000000-0000-0000-0000-000000000000")
        assert kube.delete(CONFIG_MAPS, space, "a", uid=str(meta(made)["uid"]))
        assert not kube.delete(CONFIG_MAPS, space, "a")

    def test_lists_by_label(self, kube: Kube, space: str) -> None:
        kube.apply(config_map("a", space))
        other = config_map("b", space)
        other["metadata"]["labels"] = {"contract": "other"}
        kube.apply(other)
        found = kube.list(CONFIG_MAPS, space, "contract=kube")
        assert [name_of(body) for body in found.items] == ["a"]
        assert found.items[0]["kind"] == "ConfigMap"
        assert found.version

    def test_a_watch_goes_on_from_the_list(self, kube: Kube, space: str) -> None:
        kube.apply(config_map("a", space, one="1"))
        since = kube.list(CONFIG_MAPS, space, "contract=kube").version
        kube.apply(config_map("a", space, one="2"))
        kube.apply(config_map("b", space))
        kube.delete(CONFIG_MAPS, space, "a")
        watch = kube.watch(CONFIG_MAPS, space, since, "contract=kube")
        seen = []
        for change in watch:
            if change.what != "mark":
                seen.append((change.what, name_of(change.body)))
            if len(seen) == 3:
                break
        watch.close()
        assert seen == [("modified", "a"), ("added", "b"), ("deleted", "a")]

    def test_a_watch_ends_when_it_is_closed(self, kube: Kube, space: str) -> None:
        watch = kube.watch(CONFIG_MAPS, space, kube.list(CONFIG_MAPS, space).version)
        begun = threading.Event()

        def follow() -> None:
            begun.set()
            list(watch)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        begun.wait(LIMIT_S)
        until(lambda: (watch.close(), thread.join(0.2), not thread.is_alive())[2])

    def test_an_informer_follows(self, kube: Kube, space: str) -> None:
        kube.apply(config_map("a", space, one="1"))
        heard: list[tuple[str, bool]] = []
        informer = Informer(
            kube, CONFIG_MAPS, (space,), "contract=kube", lambda body: body.get("data", ()),
            lambda body, gone: heard.append((name_of(body), gone)),
        )  # fmt: skip
        informer.start()
        assert informer.wait(LIMIT_S)
        assert [name_of(body) for body in informer.select("one")] == ["a"]
        kube.apply(config_map("b", space, two="2"))
        until(lambda: informer.get(space, "b"))
        kube.delete(CONFIG_MAPS, space, "a")
        until(lambda: informer.get(space, "a") is None)
        assert informer.select("one") == []
        informer.stop()
        assert heard == [("a", False), ("b", False), ("a", True)]

    def test_the_version_is_plain(self, kube: Kube) -> None:
        assert kube.version().partition(".")[0].isdigit()


def _ml_job(name: str, space: str) -> Manifest:
    return {
        "apiVersion": "ferryml.dev/v1alpha1", "kind": "MLJob", "metadata": {"name": name, "namespace": space},
        "spec": {"uid": "job.w.j", "generation": 1, "cursor": 1, "grant": ""},
    }  # fmt: skip
