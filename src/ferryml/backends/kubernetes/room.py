"""Whether all pods of a gang find a place now: counted from nodes and promises, before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ferryml.domain.explain.facts import Object
from ferryml.domain.explain.places import NodeView, nodes, repels, requests, selects
from ferryml.domain.quantities import resource_words

Amounts = Mapping[str, float]
ENDED = ("Succeeded", "Failed")


def needs_of(template: Object) -> dict[str, object]:
    """What one pod of a Job's template asks of its node."""
    spec = template.get("spec") or {}
    return {
        "requests": requests(template),
        "nodeSelector": spec.get("nodeSelector") or {},
        "tolerations": spec.get("tolerations") or [],
    }


def why_no_room(
    count: int, needs: Object, bodies: Iterable[Object], ours: Iterable[Object],
    others: Mapping[str, Amounts] | None = None,
) -> str:  # fmt: skip
    """In words why `count` such pods do not all fit; empty when they do. Affinities are the scheduler's own.

    Args:
        bodies: nodes of the API.
        ours: Ferry's pods, with `requests` in base units.
        others: node -> what other people's pods were promised.
    """
    wanted: Amounts = needs.get("requests") or {}
    promised = _promised(ours, others or {})
    places = {node.name: _places(node, needs, wanted, promised.get(node.name, {})) for node in nodes(bodies)}
    fit = sum(places.values())
    if fit >= count:
        return ""
    asked = " and ".join(resource_words(key, value) for key, value in sorted(wanted.items()) if key != "pods")
    return f"{count} pods of {asked or 'any size'} each must start together, and {fit} of them would find a place now"


def _places(node: NodeView, needs: Object, wanted: Amounts, promised: Amounts) -> int:
    if not node.ready or node.cordoned or not selects(needs.get("nodeSelector") or {}, node):
        return 0
    if repels(node, needs.get("tolerations") or ()):
        return 0
    asked = {**wanted, "pods": 1.0}
    free = [
        (node.allocatable.get(key, 0.0 if key != "pods" else math.inf) - promised.get(key, 0.0)) / value
        for key, value in asked.items()
        if value > 0
    ]
    return max(0, math.floor(min(free) + 1e-9))


def _promised(ours: Iterable[Object], others: Mapping[str, Amounts]) -> dict[str, dict[str, float]]:
    total = {name: dict(amounts) for name, amounts in others.items()}
    for pod in ours:
        node = (pod.get("spec") or {}).get("nodeName")
        if not node or (pod.get("status") or {}).get("phase") in ENDED:
            continue
        here = total.setdefault(str(node), {})
        for key, value in {**(pod.get("requests") or {}), "pods": 1.0}.items():
            here[key] = here.get(key, 0.0) + value
    return total
