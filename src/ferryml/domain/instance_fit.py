"""Instance types held against nodes: whether one fits, which would, and which types a cluster's nodes suggest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.domain.explain.places import NodeView, repels, selects, taint_words
from ferryml.domain.instance_types import choose
from ferryml.domain.quantities import amount, resource_words
from ferryml.domain.spec.instance_type import LIMITS_ONLY, InstanceType, InstanceTypeSpec, TypeResources

Json = Any
BESIDE = {"cpu": 0.05, "memory": 96.0 * 2**20}
"""What Ferry's own container in the pod takes of a node (knobs collect_cpu, collect_memory)."""
MIB = 2**20
_MACHINE = "node.kubernetes.io/instance-type"


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a type fits, and if not, in words why; `nodes` are those that could hold it."""

    ok: bool
    why: str = ""
    nodes: tuple[str, ...] = ()


def fits(
    kind: InstanceType,
    nodes: Iterable[NodeView],
    tolerations: Sequence[Mapping[str, Json]] = (),
    beside: Mapping[str, float] = BESIDE,
    now: bool = False,
) -> Fit:
    """Whether some node could ever hold a pod of this type; with `now`, whether one could at once.

    Args:
        tolerations: those that every workload has, besides the type's own.
        beside: requests of the other containers of the pod, in base units.
    """
    wanted = _wanted(kind, beside)
    known = (*tolerations, *kind.spec.tolerations)
    faults: list[str] = []
    good: list[str] = []
    for node in nodes:
        fault = _fault(kind, node, wanted, known, now)
        if fault:
            faults.append(fault)
        else:
            good.append(node.name)
    if good:
        return Fit(True, "", tuple(good))
    said = [f"{fault} ({count} of {len(faults)} nodes)" for fault, count in Counter(faults).most_common(4)]
    return Fit(False, "; ".join(said) or "the cluster has no nodes")


def nearest(
    wanted: InstanceType,
    types: Mapping[str, InstanceType],
    nodes: Sequence[NodeView],
    tolerations: Sequence[Mapping[str, Json]] = (),
    now: bool = False,
) -> InstanceType | None:
    """The type most like `wanted` among those that fit; None when none does."""
    fitting = [
        kind for kind in types.values() if kind.name != wanted.name and fits(kind, nodes, tolerations, now=now).ok
    ]
    return min(fitting, key=lambda kind: (_distance(wanted, kind), kind.name), default=None)


def check_fit(
    types: Mapping[str, InstanceType],
    name: str,
    nodes: Sequence[NodeView],
    autoscaled: bool,
    tolerations: Sequence[Mapping[str, Json]] = (),
) -> str:
    """A note worth telling, or empty; raises Refused `InvalidInstanceType` when no node can ever hold the type.

    A cluster that told of no nodes yet says nothing; one that autoscales may get a node that holds it.
    """
    kind = choose(types, name)
    fit = fits(kind, nodes, tolerations) if nodes else Fit(True)
    if fit.ok:
        return ""
    words = f"instance type {kind.name} fits no node: {fit.why}"
    if autoscaled:
        return f"{words}; it waits until the cluster adds one"
    other = nearest(kind, types, nodes, tolerations)
    hint = f"The nearest type that fits is {other.name} ({summary(other)})." if other else "No type of it fits a node."
    raise Refused(
        "InvalidInstanceType", words, hint, {"instance_type": kind.name, "nearest": other.name if other else None}
    )


def summary(kind: InstanceType) -> str:
    """`cpu 100m to 2, memory 2 GiB, 1 nvidia.com/gpu`."""
    limits, requests = kind.limits, kind.requests
    parts = []
    for key in ("cpu", "memory"):
        low, high = amount(requests.get(key)), amount(limits.get(key))
        shown = resource_words(key, low)
        parts.append(f"{key} {shown}" if low == high else f"{key} {shown} to {resource_words(key, high)}")
    parts += [f"{int(amount(value))} {key}" for key, value in limits.items() if LIMITS_ONLY in key]
    return ", ".join(parts)


def suggest(nodes: Iterable[NodeView], beside: Mapping[str, float] = BESIDE) -> tuple[InstanceType, ...]:
    """Types for the nodes that there are: for each kind of node a small and a whole one, and one for each GPU count."""
    groups: dict[tuple[Json, ...], list[NodeView]] = {}
    for node in nodes:
        if node.ready and not node.cordoned:
            groups.setdefault(_shape(node), []).append(node)
    several = len({_machine(group[0]) for group in groups.values()}) > 1
    made: dict[str, InstanceType] = {}
    for group in groups.values():
        for kind in _suggested(group, several, beside):
            made.setdefault(kind.name, kind)
    return tuple(made[name] for name in sorted(made))


def _wanted(kind: InstanceType, beside: Mapping[str, float]) -> dict[str, float]:
    own = {key: amount(value) for key, value in kind.requests.items()}
    return {key: own.get(key, 0.0) + beside.get(key, 0.0) for key in {*own, *beside}}


def _fault(
    kind: InstanceType, node: NodeView, wanted: Mapping[str, float], known: Sequence[Mapping[str, Json]], now: bool
) -> str:
    if not selects(kind.spec.node_selector, node):
        missing = ", ".join(f"{k}={v}" for k, v in kind.spec.node_selector.items() if node.labels.get(k) != v)
        return f"no label {missing}"
    if taints := repels(node, known):
        return f"taint {taint_words(taints[0])} is not tolerated"
    if now and (not node.ready or node.cordoned):
        return "not ready" if not node.ready else "cordoned"
    have = {**node.allocatable, **node.free} if now else node.allocatable
    for key in ("cpu", "memory", *sorted(set(wanted) - {"cpu", "memory"})):
        counted = key in have or LIMITS_ONLY in key or key in ("cpu", "memory")
        if counted and wanted.get(key, 0.0) > have.get(key, 0.0) + 1e-9:
            word = "free" if now else "allocatable"
            return f"{key} {resource_words(key, wanted[key])} wanted, {resource_words(key, have.get(key, 0.0))} {word}"
    return ""


def _distance(one: InstanceType, other: InstanceType) -> float:
    """How unlike two types are; a GPU more or less weighs most, too little of something more than too much."""
    mine, theirs = ({key: amount(value) for key, value in kind.requests.items()} for kind in (one, other))
    total = 0.0
    for key in {*mine, *theirs}:
        have, want = theirs.get(key, 0.0), mine.get(key, 0.0)
        if LIMITS_ONLY in key:
            total += 10 * abs(have - want)
        elif have and want:
            total += abs(math.log2(have / want)) * (2 if have < want else 1)
    return total


def _gpus(node: NodeView) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((key, int(value)) for key, value in node.allocatable.items() if LIMITS_ONLY in key and value))


def _machine(node: NodeView) -> str:
    return node.labels.get(_MACHINE, "")


def _shape(node: NodeView) -> tuple[Json, ...]:
    cpu, memory = node.allocatable.get("cpu", 0.0), node.allocatable.get("memory", 0.0)
    taints = tuple(taint_words(taint) for taint in node.taints)
    return _gpus(node), round(cpu), round(memory / 2**30), _machine(node), taints


def _suggested(group: Sequence[NodeView], several: bool, beside: Mapping[str, float]) -> Iterable[InstanceType]:
    """Of the smallest node of a group of like ones, so that each of them holds what is proposed."""
    cpu = min(node.allocatable.get("cpu", 0.0) for node in group) - beside.get("cpu", 0.0)
    memory = min(node.allocatable.get("memory", 0.0) for node in group) - beside.get("memory", 0.0)
    # Programs of the cluster run on each node too; what they take differs from node to node.
    cpu, memory = cpu * 0.9, memory * 0.9
    node = group[0]
    gpus = _gpus(node)
    parts = [(f"{_short(key)}{n}", n / most, {key: n}) for key, most in gpus for n in _counts(most)]
    if not parts:
        parts = [("cpu-small", 0.25, {}), ("cpu-large", 1.0, {})]
    for word, share, extra in parts:
        own = _kind(word, cpu * share, memory * share, extra, node, several)
        if own is not None:
            yield own


def _counts(most: int) -> list[int]:
    return sorted({1, most} | {2**power for power in range(1, 4) if 2**power < most})


def _short(resource: str) -> str:
    word = resource.partition("/")[2]
    return "gpu-" if word == "gpu" else f"{word}-"


def _kind(
    word: str, cpu: float, memory: float, extra: Mapping[str, int], node: NodeView, several: bool
) -> InstanceType | None:
    millis, mib = int(cpu * 1000) // 10 * 10, int(memory / MIB) // 64 * 64
    if millis <= 0 or mib <= 0:
        return None
    machine = _machine(node) if several else ""
    amounts = {"cpu": f"{millis // 1000}" if millis % 1000 == 0 else f"{millis}m", "memory": f"{mib}Mi"}
    resources = TypeResources(requests=amounts, limits={**amounts, **{key: str(n) for key, n in extra.items()}})
    spec = InstanceTypeSpec(
        node_selector={_MACHINE: machine} if machine else {},
        resources=resources,
        tolerations=tuple(_toleration(taint) for taint in node.taints),
    )
    name = f"{word}-{machine}".lower() if machine else word
    return InstanceType(name="".join(c if c.isalnum() or c in "-." else "-" for c in name)[:63], spec=spec)


def _toleration(taint: Mapping[str, Json]) -> dict[str, Json]:
    value = {"operator": "Equal", "value": taint["value"]} if taint.get("value") else {"operator": "Exists"}
    return {"key": taint.get("key", ""), **value, "effect": taint.get("effect", "")}
