"""Nodes as the explainer compares them: what each has, what is free, which labels and taints it carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryml.domain.explain.facts import Object, condition, name_of
from ferryml.domain.quantities import amount

DISK = "ephemeral-storage"
_KNOWN = {
    "cpu_millis": ("cpu", 0.001),
    "memory_bytes": ("memory", 1.0),
    "disk_bytes": (DISK, 1.0),
    "pods": ("pods", 1.0),
}


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node; amounts in base units. `free` is empty when nobody counted."""

    name: str
    ready: bool = True
    cordoned: bool = False
    allocatable: Mapping[str, float] = field(default_factory=dict)
    free: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()


def nodes(given: Iterable[Object]) -> tuple[NodeView, ...]:
    """From nodes of the API (they have `metadata`) or of a heartbeat's inventory."""
    return tuple(_of_api(each) if "metadata" in each else _of_inventory(each) for each in given)


def requests(pod: Object) -> dict[str, float]:
    """What the scheduler counts for a pod: containers and sidecars together, or the largest init container if more."""
    spec = pod.get("spec") or {}
    total = _sum(spec.get("containers") or ())
    sidecars: dict[str, float] = {}
    most: dict[str, float] = {}
    for each in spec.get("initContainers") or ():
        wanted = _of_container(each)
        if each.get("restartPolicy") == "Always":
            sidecars = _plus(sidecars, wanted)
            wanted = sidecars
        else:
            wanted = _plus(sidecars, wanted)
        most = {key: max(most.get(key, 0), wanted.get(key, 0)) for key in {*most, *wanted}}
    total = _plus(total, sidecars)
    whole = {key: max(total.get(key, 0), most.get(key, 0)) for key in {*total, *most}}
    return _plus(whole, _amounts(spec.get("overhead") or {}))


def largest(found: Iterable[NodeView], resource: str) -> float:
    """The most of a resource that one node has."""
    return max((node.allocatable.get(resource, 0.0) for node in found), default=0.0)


def freest(found: Iterable[NodeView], resource: str) -> float | None:
    """The most of a resource that is free on one node now; None when nobody counted."""
    counted = [node.free[resource] for node in found if resource in node.free]
    return max(counted) if counted else None


def selects(selector: Mapping[str, str], node: NodeView) -> bool:
    """Whether a nodeSelector takes the node."""
    return all(node.labels.get(key) == value for key, value in selector.items())


def tolerated(taint: Object, tolerations: Iterable[Object]) -> bool:
    """Whether one of the tolerations covers the taint (rules of the Kubernetes scheduler)."""
    for each in tolerations:
        if each.get("effect") and each.get("effect") != taint.get("effect"):
            continue
        if not each.get("key"):
            if each.get("operator") == "Exists":
                return True
            continue
        if each.get("key") != taint.get("key"):
            continue
        if each.get("operator") == "Exists" or (each.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


def repels(node: NodeView, tolerations: Iterable[Object]) -> tuple[Object, ...]:
    """Taints of the node that keep a pod with these tolerations away."""
    known = tuple(tolerations)
    return tuple(
        taint
        for taint in node.taints
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerated(taint, known)
    )


def taint_words(taint: Object) -> str:
    """`key=value:Effect`, as kubectl takes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key', '')}{value}:{taint.get('effect', '')}"


def _of_api(node: Object) -> NodeView:
    spec, meta = node.get("spec") or {}, node.get("metadata") or {}
    return NodeView(
        name=name_of(node),
        ready=condition(node, "Ready").get("status") == "True",
        cordoned=bool(spec.get("unschedulable")),
        allocatable=_amounts((node.get("status") or {}).get("allocatable") or {}),
        labels=dict(meta.get("labels") or {}),
        taints=tuple(spec.get("taints") or ()),
    )


def _of_inventory(node: Object) -> NodeView:
    return NodeView(
        name=str(node.get("name") or ""),
        ready=bool(node.get("ready", True)),
        cordoned=bool(node.get("cordoned")),
        allocatable=_flat(node),
        free=_flat(node.get("free") or {}),
        labels=dict(node.get("labels") or {}),
        taints=tuple(node.get("taints") or ()),
    )


def _flat(told: Mapping[str, Any]) -> dict[str, float]:
    made = {name: float(told[key]) * unit for key, (name, unit) in _KNOWN.items() if key in told}
    return made | {str(key): float(value) for key, value in (told.get("gpus") or {}).items()}


def _amounts(told: Mapping[str, Any]) -> dict[str, float]:
    made: dict[str, float] = {}
    for key, value in told.items():
        try:
            made[str(key)] = amount(value)
        except ValueError:
            continue
    return made


def _of_container(container: Object) -> dict[str, float]:
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _sum(containers: Iterable[Object]) -> dict[str, float]:
    total: dict[str, float] = {}
    for each in containers:
        total = _plus(total, _of_container(each))
    return total


def _plus(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {*one, *other}}
