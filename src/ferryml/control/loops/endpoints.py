"""Time passing over endpoints: operations that ran out of it, and old revisions whose keeping ends."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from ferryml.control.context import Deps, Turn, changed
from ferryml.control.endpoint_reports import TOO_OLD, close
from ferryml.control.ports import Row
from ferryml.control.serving_wishes import DELETING, DROPPED, FAILED, PREVIOUS, late, send
from ferryml.control.sites import ONLINE
from ferryml.domain.statuses import RolloutStatus

RENEW_S = 60.0
"""How much of an operation's time an offline site may use up."""
WAITING = ("", "pending", "preparing")


def tick(deps: Deps) -> int:
    """How many endpoints changed."""
    with deps.store.read() as tx:
        now = tx.now().timestamp()
        known = tx.find("endpoint", limit=10_000)
        busy = [row for row in known if _late(tx, row)]
        waiting = [row for row in known if _waits(tx, row)]
        kept = tx.find("revision", phases=(PREVIOUS,), limit=deps.settings.loop_batch)
    over = [row for row in kept if float(row.status.get("retire_at") or 0) <= now]
    done = sum(changed(deps, partial(_expire, deps, row)) for row in busy)
    done += sum(changed(deps, partial(_give_time, row)) for row in waiting)
    return done + sum(changed(deps, partial(_retire, deps, row)) for row in over)


def _late(tx: Any, row: Row) -> bool:
    operation = row.status.get("operation")
    if not operation or row.phase == DELETING or not late(tx, operation) or _away(tx, row):
        return False
    state = str((row.status.get("rollout_status") or {}).get("state", ""))
    return not row.status.get("rollout") or state in WAITING


def _away(tx: Any, row: Row) -> bool:
    """Whether it is one of several computes and its site is offline: then the others go on, and it waits."""
    site = tx.get("site", "", str(row.status["site"])) if row.parent else None
    return bool(row.parent) and (site is None or site.phase != ONLINE)


def _waits(tx: Any, row: Row) -> bool:
    """Time passes for an operation only while its site is there."""
    operation: dict[str, Any] = row.status.get("operation") or {}
    since = (tx.now() - timedelta(seconds=RENEW_S)).isoformat()
    return bool(row.parent and operation) and str(operation["since"]) < since and _away(tx, row)


def _give_time(row: Row, turn: Turn) -> int:
    current = turn.tx.get("endpoint", row.workspace, row.name)
    if current is None or not _waits(turn.tx, current):
        return 0
    operation = {**current.status["operation"], "since": turn.tx.now().isoformat()}
    turn.tx.update(current.model_copy(update={"status": {**current.status, "operation": operation}}))
    return 1


def _expire(deps: Deps, row: Row, turn: Turn) -> int:
    current = turn.tx.get("endpoint", row.workspace, row.name)
    if current is None or not _late(turn.tx, current):
        return 0
    operation: dict[str, Any] = current.status["operation"]
    reason = f"site {current.status['site']} did not finish it within 20 minutes"
    if current.status.get("code") == TOO_OLD:
        reason = f"{reason}: {current.status['reason']}"
    if current.status.get("rollout"):
        ended = RolloutStatus(
            rollout=current.status["rollout"]["rollout"], state="failed", since=turn.tx.now(), reason=reason
        )
        close(deps, turn, current, ended, None)
        return 1
    code = TOO_OLD if current.status.get("code") == TOO_OLD else "ResourceNotReady"
    kept = {**current.status, "operation": None, "reason": reason, "code": code}
    turn.tx.update(current.model_copy(update={"phase": FAILED, "status": kept}))
    turn.event(current.workspace, f"endpoint.{operation['kind']}-failed", f"endpoint:{row.name}", {"reason": reason})
    return 1


def _retire(deps: Deps, row: Row, turn: Turn) -> int:
    current = turn.tx.get("revision", row.workspace, row.name)
    endpoint = turn.tx.get("endpoint", row.workspace, row.parent.partition("/")[0])
    if current is None or current.phase != PREVIOUS:
        return 0
    if endpoint is not None and (endpoint.status.get("rollout") or {}).get("candidate") == row.name:
        return 0
    turn.tx.update(current.model_copy(update={"phase": DROPPED}))
    if endpoint is not None and endpoint.phase != DELETING:
        send(deps, turn, endpoint)
    return 1
