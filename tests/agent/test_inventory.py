"""What a cluster tells of itself, and how it answers questions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ferryml.agent.doctor import Doctor, ServerLook, Wants
from ferryml.agent.inventory import Inventory, node_of, taken_by
from ferryml.domain.errors import Forbidden, Unavailable
from ferryml.domain.explain.places import nodes
from ferryml.domain.statuses import Finding
from kube_world import World, a_node, a_pod, thing


class Scene:
    """An inventory whose looks can be waited for."""

    def __init__(self, **wants: Any) -> None:
        self.world, self.news = World(), threading.Semaphore(0)
        self.wants = Wants(**wants)
        self.probed: list[int] = []
        doctor = Doctor(self.world, self.wants, self.world.types, ServerLook, probe=self._probe)
        self.inventory = Inventory(self.world, self.wants, doctor, lambda: 0.0, self.news.release)

    def _probe(self) -> tuple[Finding, ...]:
        self.probed.append(1)
        return (Finding(check="network-policies", code="Ok", level="ok", cause="network policies are enforced"),)

    def told(self) -> dict[str, Any]:
        return self.inventory.told(self.world.objects["v1/nodes"], ())

    def asks(self, word: str, doctor: bool = False, again: bool = False, **compute: Any) -> dict[str, Any]:
        made = {"workspace": "w", "name": "c", "namespace": "ml", "create_namespace": False, **compute}
        self.inventory.heard({"computes": [made], "ask": word, "doctor": doctor, "again": again})
        for _ in range(5):
            assert self.news.acquire(timeout=5)
            if self.told().get("answered") == word:
                return self.told()
        raise AssertionError("never answered")


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene(create_namespaces=True)
    made.inventory.start()
    yield made
    made.inventory.stop()


def test_before_the_first_look_only_what_is_in_memory() -> None:
    scene = Scene()
    assert set(scene.told()) == {"nodes"}
    scene.inventory.look()
    told = scene.told()
    assert told["namespaces"] == ["default", "ml"]
    assert (told["cluster_wide"], told["network_policies"], told["doctor"]) == (True, "unknown", [])


def test_a_question_is_answered_by_a_look(scene: Scene) -> None:
    told = scene.asks("q1")
    assert {each["check"] for each in told["doctor"]} >= {"rights", "nodes"}
    assert scene.probed == []
    told = scene.asks("q2", doctor=True)
    assert told["network_policies"] == "enforced"
    told = scene.asks("q3")
    assert told["network_policies"] == "enforced"
    assert scene.probed == [1]


def test_namespaces_are_made_where_that_is_allowed(scene: Scene) -> None:
    assert "new" in scene.asks("q1", namespace="new", create_namespace=True)["namespaces"]
    assert ("v1/namespaces", "new") in scene.world.made
    scene.asks("q2", namespace="kube-mine", create_namespace=True)
    scene.asks("q3", namespace="unasked")
    assert [name for _, name in scene.world.made] == ["new"]


def test_a_namespace_that_cannot_be_made_says_why(scene: Scene) -> None:
    scene.world.refusals["create", "v1/namespaces"] = Forbidden("Forbidden", "no more namespaces")
    found = scene.asks("q1", namespace="new", create_namespace=True)["namespace_findings"]["new"]
    assert (found[0]["code"], found[0]["evidence"]) == ("NamespaceMissing", "no more namespaces")


def test_nothing_is_made_in_namespaced_mode() -> None:
    scene = Scene(namespaces=("ml", "absent"), create_namespaces=True)
    scene.inventory.heard({"computes": [{"namespace": "new", "create_namespace": True}], "ask": "q"})
    scene.inventory.look()
    assert scene.world.made == []
    assert (scene.told()["namespaces"], scene.told()["create_namespaces"]) == (["ml"], False)


def test_a_namespace_that_is_going_cannot_be_used() -> None:
    scene = Scene(namespaces=("ml", "dying"))
    scene.world.objects["v1/namespaces"].append(thing("dying", status={"phase": "Terminating"}))
    scene.inventory.look(examine=True)
    assert scene.told()["namespaces"] == ["ml"]
    assert scene.told()["namespace_findings"]["dying"][0]["code"] == "NamespaceMissing"


def test_a_look_that_fails_is_tried_again(scene: Scene) -> None:
    assert scene.news.acquire(timeout=5)
    scene.world.refusals["list", "v1/namespaces"] = Unavailable("Unavailable", "away")
    scene.inventory.heard({"ask": "q"})
    del scene.world.refusals["list", "v1/namespaces"]
    assert scene.asks("q2")["answered"] == "q2"


def test_free_is_what_nobody_was_promised() -> None:
    pods = [a_pod("a", "n1", "500m"), a_pod("b", "n1", "1"), a_pod("c", "n1", "2", "Succeeded"), a_pod("d", "", "1")]
    counted = {"spec": {"nodeName": "n1"}, "status": {}, "requests": {"cpu": 0.25}}
    taken = taken_by([*pods, counted], {"n1": {"cpu": 0.25}})
    assert taken == {"n1": {"cpu": 2.0, "pods": 3.0}}
    (view,) = nodes([a_node(**{"pool": "a", "beta.kubernetes.io/os": "linux"})])
    told = node_of(view, taken["n1"])
    assert (told["cpu_millis"], told["free"]["cpu_millis"], told["free"]["pods"]) == (4000, 2000, 107)
    assert told["labels"] == {"pool": "a"}


def test_others_pods_count() -> None:
    scene = Scene()
    scene.world.objects["v1/pods"] = [a_pod("a", "n1", "3")]
    scene.inventory.look()
    assert scene.told()["nodes"][0]["free"]["cpu_millis"] == 1000
    assert scene.inventory.taken()["n1"]["cpu"] == 3


def test_pods_are_made_again_only_when_that_is_asked_for(scene: Scene) -> None:
    for word, again, count in (("q1", False, 1), ("q2", False, 1), ("q3", True, 2)):
        told = scene.asks(word, doctor=True, again=again)
        assert (len(scene.probed), told["network_policies"]) == (count, "enforced")


def test_where_pods_are_not_wanted_none_are_made() -> None:
    scene = Scene(probe="never")
    scene.inventory.start()
    told = scene.asks("q1", doctor=True, again=True)
    scene.inventory.stop()
    assert (scene.probed, told["network_policies"]) == ([], "unknown")
    assert [each["level"] for each in told["doctor"] if each["check"] == "network-policies"] == ["warning"]
