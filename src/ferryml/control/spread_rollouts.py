"""Rollouts of endpoints that are on several computes: which rows they go through, and what is asked for afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferryml.control.context import Turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.serving_wishes import deployment_key, parts_of, spread
from ferryml.control.spread_deployments import adopt
from ferryml.domain.errors import Refused
from ferryml.domain.spec.rollout import Rollout


def targets(tx: Tx, endpoints: Sequence[Row]) -> list[Row]:
    """What each endpoint has on each of its computes, in their order. Raises Refused when that is nothing."""
    found: list[Row] = []
    for endpoint in endpoints:
        parts = parts_of(tx, endpoint)
        if not parts:
            raise Refused("BadReference", f"endpoint {endpoint.name} is on no compute now", "Look with show.")
        found += parts
    return found


def marks(endpoints: Sequence[Row], parts: Sequence[Row]) -> dict[str, Json]:
    """What the status of a rollout keeps of them; nothing when all are on one compute."""
    several = [endpoint.name for endpoint in endpoints if spread(endpoint)]
    return {"spread": several, "targets": [part.name for part in parts]} if several else {}


def ended(now: Turn, row: Row, spec: Rollout, phase: str) -> None:
    """The rollout has ended: what it brought everywhere is asked for from now on, and who differs says why."""
    told: Mapping[str, Any] = row.status["endpoints"]
    for name in row.status.get("spread") or ():
        endpoint = now.tx.get("endpoint", row.workspace, name)
        if endpoint is None:
            continue
        parts = {part.name: part for part in parts_of(now.tx, endpoint)}
        states = {part: str((told.get(part) or {}).get("state", "")) for part in parts}
        if phase == "promoted":
            why = f"serves what it served before rollout {row.name}, which left it out"
            behind = {str(one.spec["compute"]): why for part, one in parts.items() if states[part] != "promoted"}
            deployment = spec.deployment.model_copy(update={"endpoint_name": name})
            adopt(now, endpoint, deployment, row.created_by, behind)
            continue
        for part in (part for part, state in states.items() if state == "promoted"):
            mine = now.tx.get("deployment", row.workspace, deployment_key(part, spec.deployment.name))
            if mine is not None:
                why = f"serves what rollout {row.name} brought, which was rolled back elsewhere"
                now.tx.update(mine.model_copy(update={"status": {**mine.status, "behind": why}}))


def public(part: str) -> str:
    """The endpoint's own name."""
    return part.partition("@")[0]
