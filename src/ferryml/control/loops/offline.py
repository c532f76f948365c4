"""Notices sites that fell silent and says so on their jobs; what runs there goes on, and comes back with them."""

from __future__ import annotations

from datetime import datetime, timedelta

from ferryml.control.context import Deps, Turn, changed
from ferryml.control.ports import Row
from ferryml.control.sites import OFFLINE, ONLINE

THERE = ("Starting", "Preparing", "Provisioning", "Running", "Finalizing", "Paused")
"""Phases that only a site can know of; what merely waits goes on waiting."""
SILENT = "NotResponding"


def tick(deps: Deps) -> int:
    """How many sites or jobs changed."""
    with deps.store.read() as tx:
        now, sites = tx.now(), tx.find("site", phases=(ONLINE, OFFLINE))
        silent = tx.find("job", phases=(SILENT,), archived="any")
    lost = [site.name for site in sites if site.phase == ONLINE and _silent(deps, site, now)]
    back = {site.name for site in sites if site.phase == ONLINE} - set(lost)
    returned = [row for row in silent if row.status.get("site") in back]
    return sum(_lost(deps, name) for name in lost) + sum(_returned(deps, row) for row in returned)


def _lost(deps: Deps, name: str) -> int:
    return changed(deps, lambda turn: _lose(deps, turn, name))


def _returned(deps: Deps, row: Row) -> int:
    return changed(deps, lambda turn: _restore(turn, row))


def _silent(deps: Deps, site: Row, now: datetime) -> bool:
    seen = datetime.fromisoformat(site.status["last_seen"])
    return now - seen > timedelta(seconds=deps.settings.site_offline_s)


def _lose(deps: Deps, turn: Turn, name: str) -> int:
    site = turn.tx.get("site", "", name)
    if site is None or site.phase != ONLINE or not _silent(deps, site, turn.tx.now()):
        return 0
    turn.tx.update(site.model_copy(update={"phase": OFFLINE}))
    turn.event("", "site.offline", f"site:{name}", {"last_seen": site.status["last_seen"]})
    jobs = [
        row for row in turn.tx.find("job", phases=THERE, archived="any", limit=10_000) if row.status["site"] == name
    ]
    for row in jobs:
        turn.tx.update(row.model_copy(update={"phase": SILENT, "status": {**row.status, "before": row.phase}}))
        turn.event(row.workspace, "job.phase", f"job:{row.name}", {"from": row.phase, "to": SILENT})
        turn.wake(f"job:{row.status['uid']}")
    return 1 + len(jobs)


def _restore(turn: Turn, row: Row) -> int:
    current = turn.tx.get("job", row.workspace, row.name)
    if current is None or current.phase != SILENT:
        return 0
    before = str(current.status.get("before") or "Running")
    turn.tx.update(current.model_copy(update={"phase": before}))
    turn.event(row.workspace, "job.phase", f"job:{row.name}", {"from": SILENT, "to": before})
    turn.wake(f"job:{row.status['uid']}")
    return 1
