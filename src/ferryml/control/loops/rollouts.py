"""Carries rollouts through their endpoints: begins the next one, copies what sites say, takes back what must be."""

from __future__ import annotations

import logging
from typing import Any, cast

from ferryml.control import deployments, rollouts, spread_rollouts
from ferryml.control.context import Caller, Deps, Turn, changed
from ferryml.control.ports import Edge, Json, Row
from ferryml.control.serving_wishes import command, deployment_key, spread
from ferryml.control.sites import ONLINE
from ferryml.domain.access import Role
from ferryml.domain.errors import Conflict, FerryError, Refused
from ferryml.domain.fleet import SiteSeen, decide
from ferryml.domain.spec.rollout import Rollout

log = logging.getLogger(__name__)
Told = dict[str, dict[str, Any]]
"""endpoint -> what `TOLD` names, and offline."""
TOLD = ("state", "reason", "percent", "evidence", "revision")
NOTHING: dict[str, Any] = {"state": "", "reason": "", "percent": 0, "evidence": [], "revision": ""}


def tick(deps: Deps) -> int:
    """One turn of every rollout that has not ended; how many moved."""
    with deps.store.read() as tx:
        rows = tx.find("rollout", phases=rollouts.ACTIVE, archived="any")
    return sum(_safely(deps, row) for row in rows)


def _safely(deps: Deps, row: Row) -> int:
    """One that is in trouble does not hold up the others; it is looked at again next time."""
    try:
        return _undo(deps, row) if row.phase == "undoing" else _carry(deps, row)
    except FerryError as error:
        log.warning("rollout %s waits: %s: %s", row.name, error.code, error.message)
        return 0


def _carry(deps: Deps, row: Row) -> int:
    spec = rollouts.spec_of(row)
    told = _told(deps, row, spec)
    seen = {
        name: SiteSeen(state=one["state"], reason=one["reason"], offline=one["offline"]) for name, one in told.items()
    }
    turn = decide(spec, seen, tuple(row.status["skipped"]))
    if not row.status.get("paused"):
        for endpoint in turn.start:
            told[endpoint] = _start(deps, row, spec, endpoint, told[endpoint])
    for endpoint in turn.skipped:
        if told[endpoint]["state"] not in ("", *rollouts.ENDED):
            # it may have reached the site, which would carry it out by itself later
            _ask_back(deps, row, endpoint)
    changes: dict[str, Json] = {"endpoints": told, "skipped": list(turn.skipped), "reason": turn.reason}
    phase: str = turn.state
    if turn.undo:
        phase, changes["undo"] = "undoing", list(turn.undo)
    return _write(deps, row, phase, changes)


def _told(deps: Deps, row: Row, spec: Rollout) -> Told:
    """What is known of each endpoint now; one that was begun is never forgotten."""
    told: Told = {}
    with deps.store.read() as tx:
        for endpoint in spec.endpoint_names:
            before = row.status["endpoints"].get(endpoint) or NOTHING
            ended = before["state"] in rollouts.ENDED
            now = None if ended else rollouts.under(tx, row.workspace, endpoint, row.name)
            parent = tx.get("endpoint", row.workspace, endpoint)
            site = tx.get("site", "", str(parent.status["site"])) if parent else None
            kept = {key: (now or before).get(key) for key in TOLD}
            told[endpoint] = {**kept, "offline": site is None or site.phase != ONLINE}
    return told


def _start(deps: Deps, row: Row, spec: Rollout, endpoint: str, told: dict[str, Any]) -> dict[str, Any]:
    deployment = spec.deployment.model_copy(update={"endpoint_name": spread_rollouts.public(endpoint)})
    with deps.store.read() as tx:
        parent = tx.get("endpoint", row.workspace, endpoint)
    # nothing has traffic yet: the first deployment takes all of it
    idle = parent is not None and not any((parent.spec.get("traffic") or {}).values())
    operation = {"kind": "rollout", "all_traffic": idle}
    plan = rollouts.plan_of(spec, row.name)
    if parent is not None and spread(parent):
        return {**told, "state": "failed", "reason": f"endpoint {endpoint} was made anew, on several computes"}
    try:
        if parent is not None:
            rollouts.check_place(parent, deployment.name)
        revision = deployments.roll(deps, caller_of(row), row.workspace, endpoint, deployment, plan, operation)
    except Conflict as error:
        return {**told, "reason": error.message}
    except Refused as error:
        return {**told, "state": "failed", "reason": error.message}
    return {**told, "state": "pending", "reason": "sent to the site", "revision": revision}


def _undo(deps: Deps, row: Row) -> int:
    spec = rollouts.spec_of(row)
    told = _told(deps, row, spec)
    left = [endpoint for endpoint in row.status["undo"] if not _undone(deps, row, spec, endpoint, told[endpoint])]
    phase = "undoing" if left else "rolled_back"
    return _write(deps, row, phase, {"endpoints": told, "undo": left})


def _undone(deps: Deps, row: Row, spec: Rollout, endpoint: str, told: dict[str, Any]) -> bool:
    """Whether the endpoint serves again what it served before; asks for it, as often as needed."""
    if told["state"] in ("", "rolled_back", "failed"):
        return True
    if told["state"] != "promoted":
        return _ask_back(deps, row, endpoint)
    if not _serves(deps, row, spec, endpoint, told["revision"]):
        told |= {"state": "rolled_back", "reason": "taken back to what served before"}
        return True
    try:
        deployments.back(deps, caller_of(row), row.workspace, endpoint, spec.deployment.name, deployments.straight)
    except Conflict:
        return False
    except Refused as error:
        if not _serves(deps, row, spec, endpoint, told["revision"]):
            return False  # it was taken back between the two looks
        told["reason"] = f"could not be taken back: {error.message}"
        return True
    return False


def _serves(deps: Deps, row: Row, spec: Rollout, endpoint: str, revision: str) -> bool:
    with deps.store.read() as tx:
        found = tx.get("deployment", row.workspace, deployment_key(endpoint, spec.deployment.name))
    return found is not None and found.status.get("serving") == revision


def _ask_back(deps: Deps, row: Row, endpoint: str) -> bool:
    """Ask the site, once; True when there is no endpoint any more."""

    def work(now: Turn) -> bool:
        parent = now.tx.get("endpoint", row.workspace, endpoint)
        order = (parent.status.get("rollout") or {}) if parent else {}
        if parent is not None and order.get("rollout") == row.name and order.get("command") != "rollback":
            command(deps, now, parent, "rollback")
        return parent is None

    return changed(deps, work)


def _write(deps: Deps, stale: Row, phase: str, changes: dict[str, Json]) -> int:
    status = {**stale.status, **changes}
    if status == stale.status and phase == stale.phase:
        return 0
    return changed(deps, lambda now: _write_in(now, stale, phase, status))


def _write_in(now: Turn, stale: Row, phase: str, status: dict[str, Json]) -> int:
    row = now.tx.get("rollout", stale.workspace, stale.name)
    if row is None or row.etag != stale.etag:
        return 0
    row = now.tx.update(row.model_copy(update={"status": status, "phase": phase}))
    if phase in rollouts.ENDED:
        spread_rollouts.ended(now, row, rollouts.spec_of(row), phase)
    for endpoint, told in status["endpoints"].items():
        before = stale.status["endpoints"].get(endpoint) or NOTHING
        if told["revision"] and told["revision"] != before.get("revision"):
            target = f"deployment:{deployment_key(endpoint, stale.spec['deployment']['name'])}:{told['revision']}"
            now.tx.link(Edge(workspace=row.workspace, source=f"rollout:{row.name}", relation="deployed", target=target))
        for move in told["evidence"][len(before["evidence"]) :]:
            now.event(row.workspace, "rollout.moved", f"rollout:{row.name}", {"endpoint": endpoint, **move})
    if phase != stale.phase:
        now.event(row.workspace, f"rollout.{phase}", f"rollout:{row.name}", {"reason": status["reason"]})
        now.wake("loops")
    return 1


def caller_of(row: Row) -> Caller:
    """Who asked for it."""
    kept = row.status["caller"]
    return Caller(str(kept["name"]), cast(Role, kept["role"]), str(kept["workspace"]))
