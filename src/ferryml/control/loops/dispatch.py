"""Sends jobs that were taken to their sites: one wish each."""

from __future__ import annotations

from ferryml.control import grants
from ferryml.control.context import Deps, Turn, changed
from ferryml.control.jobs import order_of
from ferryml.control.ports import Row


def tick(deps: Deps) -> int:
    """Dispatch a batch; how many."""
    return changed(deps, lambda now: _turn(deps, now))


def _turn(deps: Deps, now: Turn) -> int:
    rows = now.tx.find("job", phases=("NotStarted",), archived="any", limit=deps.settings.loop_batch)
    return sum(_dispatch(deps, now, row) for row in rows)


def _dispatch(deps: Deps, now: Turn, row: Row) -> bool:
    site, uid = str(row.status["site"]), str(row.status["uid"])
    if now.tx.get("site", "", site) is None:
        return False
    order = order_of(row)
    now.tx.put_wish(site, uid, order.model_dump(mode="json"), grants.signer(deps, site, order))
    at = {"phase": "Queued", "at": now.tx.now().isoformat(), "by": "server"}
    status = {
        **row.status,
        "times": [*row.status["times"], at],
        "reason": f"sent to site {site}, which has not taken it yet",
    }
    now.tx.update(row.model_copy(update={"phase": "Queued", "status": status}))
    now.event(row.workspace, "job.queued", f"job:{row.name}", {"site": site})
    now.wake(f"site:{site}", f"job:{uid}")
    return True
