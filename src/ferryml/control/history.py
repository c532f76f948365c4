"""What happened: events to follow, and the audit trail of who asked for what."""

from __future__ import annotations

import time

from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Entry, Json
from ferryml.control.rows import need_workspace


def events(
    deps: Deps, caller: Caller, workspace: str, span: tuple[int, int], subject: str | None, wait_s: float
) -> dict[str, Json]:
    """Events after a sequence number, oldest first; waits for one when there is none."""
    allow(caller, "workspace.read", workspace)
    after, limit = span
    deadline = time.monotonic() + min(max(wait_s, 0.0), deps.settings.wish_poll_s)
    while True:
        with deps.store.read() as tx:
            need_workspace(tx, workspace)
            found = tx.events(workspace, after, limit, subject)
        left = deadline - time.monotonic()
        if found or left <= 0 or deps.stopping.is_set():
            return _page(found, after)
        deps.wait(f"events:{workspace}", left)


def audit(deps: Deps, caller: Caller, workspace: str, span: tuple[int, int]) -> dict[str, Json]:
    """The audit trail; workspace "" is the server's own (sites)."""
    allow(caller, "audit.read" if workspace else "site.write", workspace)
    with deps.store.read() as tx:
        return _page(tx.audits(workspace, *span), span[0])


def _page(entries: list[Entry], after: int) -> dict[str, Json]:
    items = [entry.model_dump(mode="json") for entry in entries]
    return {"items": items, "next": entries[-1].seq if entries else after or None}
