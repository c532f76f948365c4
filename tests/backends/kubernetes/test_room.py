"""Whether a gang fits, counted before its pods are made."""

from __future__ import annotations

from typing import Any

import pytest

from ferryml.backends.kubernetes.room import needs_of, why_no_room
from kube_play import a_node

GIB = 2.0**30


def needs(cpu: str = "2", **spec: Any) -> dict[str, object]:
    containers = [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]
    return needs_of({"spec": {"containers": containers, **spec}})


def pod(node: str, cpu: float, phase: str = "Running") -> dict[str, Any]:
    return {"spec": {"nodeName": node}, "status": {"phase": phase}, "requests": {"cpu": cpu, "memory": GIB}}


def test_whole_pods_fit_on_whole_nodes() -> None:
    nodes = [a_node("a", cpu="3"), a_node("b", cpu="3")]
    assert why_no_room(2, needs(), nodes, []) == ""
    assert "3 pods" in why_no_room(3, needs(), nodes, [])
    assert "2 of them would find a place now" in why_no_room(3, needs(), nodes, [])


def test_what_was_promised_is_not_free_and_what_has_ended_is() -> None:
    nodes = [a_node("a", cpu="4")]
    assert why_no_room(2, needs(), nodes, [pod("a", 1)])
    assert why_no_room(2, needs(), nodes, [pod("a", 1, "Succeeded"), pod("elsewhere", 4)]) == ""
    assert why_no_room(2, needs(), nodes, [], {"a": {"cpu": 1.0}})


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ({"nodeSelector": {"gpu": "yes"}}, {}),
        ({}, {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}),
        ({}, {"spec": {"unschedulable": True}}),
    ],
)
def test_nodes_that_do_not_take_it_have_no_room(spec: dict[str, Any], node: dict[str, Any]) -> None:
    body = {**a_node("a"), **node}
    assert why_no_room(1, needs(**spec), [body], [])


def test_a_node_that_is_not_ready_has_no_room() -> None:
    assert why_no_room(1, needs(), [a_node("a", ready=False)], [])
    assert why_no_room(1, needs(), [], [])


def test_taints_that_are_tolerated_do_not_count() -> None:
    body = {**a_node("a"), "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
    assert why_no_room(1, needs(tolerations=[{"key": "k", "operator": "Exists"}]), [body], []) == ""
