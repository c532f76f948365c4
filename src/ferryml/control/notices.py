"""What moves of automations mean to webhooks, put into the outbox by the transaction that makes the move."""

from __future__ import annotations

from ferryml.control.context import Turn
from ferryml.control.ports import Row, Tx
from ferryml.control.rows import parsed
from ferryml.control.webhooks import ACTIVE, GONE, WAITING, waiting
from ferryml.domain.automation import Run
from ferryml.domain.errors import Refused
from ferryml.domain.parse import nearest
from ferryml.domain.spec.automation import Automation
from ferryml.domain.webhooks import event_id, notice, told, wanted

UNTOLD = "automation.notify_failed"
"""The event that says that a webhook does not hear of something, and why."""


def check(tx: Tx, workspace: str, spec: Automation) -> None:
    """Raise Refused(BadReference) for a webhook that the workspace has not, with the nearest name."""
    for name in dict.fromkeys(one.webhook for one in spec.notify):
        if tx.get("webhook", workspace, name) is None:
            near = nearest(name, [row.name for row in tx.find("webhook", workspace=workspace)])
            guess = f"; did you mean {near!r}?" if near else ""
            raise Refused(
                "BadReference", f"there is no webhook {name[:80]!r} in workspace {workspace}{guess}",
                "See `ferry webhook list`, or make it with `ferry webhook create`.", {"webhook": name},
            )  # fmt: skip


def tell(now: Turn, row: Row, before: str, run: Run, most: int) -> None:
    """Put a move of a run into the outbox of each webhook that asked for it; `most` may wait for one.

    The id of what is told comes from the run and the number of its move: however often the loop gets here, it is one.
    """
    spec, node = parsed(Automation, row.spec), f"automation:{run.automation}/{run.run}"
    for name in told(before, run.state):
        place = (row.workspace, run.automation, run.run, str(len(run.history)), name)
        ident = event_id(now.tx.epoch(), *place)
        for hook in wanted(spec, name):
            why = _in_the_way(now.tx, row.workspace, hook, most)
            if why:
                now.event(row.workspace, UNTOLD, node, {"webhook": hook, "event": name, "reason": why})
                continue
            made = Row(
                kind="delivery", workspace=row.workspace, name=f"{ident}.{hook}", parent=hook, phase=WAITING,
                spec=notice(run, name, ident), status={"attempts": 0}, created_by=row.created_by,
            )  # fmt: skip
            now.tx.insert(made)
            now.wake("loops")


def _in_the_way(tx: Tx, workspace: str, hook: str, most: int) -> str:
    row = tx.get("webhook", workspace, hook)
    if row is None:
        return f"there is no webhook {hook!r} any more"
    if row.phase != ACTIVE:
        return f"webhook {hook} is switched off" + (" because its receiver answered 410" if row.phase == GONE else "")
    if len(waiting(tx, row, most)) >= most:
        return f"{most} events wait for webhook {hook} already"
    return ""
