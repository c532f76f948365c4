"""Takes up what sites reported, one report at a time, each by the hook of its kind."""

from __future__ import annotations

import logging

from ferryml.control.context import Deps, turn
from ferryml.control.report_hooks import Hooks
from ferryml.domain.errors import Conflict, Unavailable
from ferryml.domain.link import Report

log = logging.getLogger(__name__)


def tick(deps: Deps, hooks: Hooks) -> int:
    """Settle a batch; how many were taken up. What cannot be taken up yet waits for the next turn."""
    with deps.store.read() as tx:
        waiting = tx.unhandled_reports(deps.settings.loop_batch)
    return sum(_settle(deps, hooks, site, report) for site, report in waiting)


def _settle(deps: Deps, hooks: Hooks, site: str, report: Report) -> bool:
    hook = hooks.get(report.status.kind)
    try:
        apply = hook(deps, site, report) if hook else None
        with turn(deps) as now:
            if apply is not None:
                apply(now)
            now.tx.handled(site, report)
    except Unavailable as error:
        log.info("report of %s waits: %s", report.uid, error.message)
        return False
    except Conflict as error:
        if error.code != "VersionConflict":
            raise
        return False
    return True
