"""The server's end of the link: wishes out, reports in, each once per state and never lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from ferryml.control import sites
from ferryml.control.context import Deps, Turn, changed
from ferryml.control.ports import Row, Tx, WishRow
from ferryml.control.serving_wishes import endpoint_at
from ferryml.domain.errors import Refused
from ferryml.domain.link import Report, ReportsAnswer, Wish, Wishes
from ferryml.domain.statuses import GoneStatus
from ferryml.domain.uids import split_uid

MAX_REPORTS = 1000


def wishes(deps: Deps, site: str, after: int, epoch: str, wait_s: float) -> Wishes:
    """What the site should have, newer than `after`; waits up to `wait_s` for something new.

    With another epoch than the server's the answer is `relist`, at once. Raises Refused `AgentTooOld`.
    """
    deadline = time.monotonic() + min(max(wait_s, 0.0), deps.settings.wish_poll_s)
    while True:
        answer = _look(deps, site, after, epoch)
        left = deadline - time.monotonic()
        if answer.wishes or answer.relist or left <= 0 or deps.stopping.is_set():
            return answer
        deps.wait(f"site:{site}", left)


def reports(deps: Deps, site: str, epoch: str, told: Sequence[Report]) -> ReportsAnswer:
    """Keep what the site saw. What the server does not know is kept by the site and listed as orphaned.

    With another `epoch` than the server's nothing is taken: the answer tells the site to relist.
    """
    if len(told) > MAX_REPORTS:
        raise Refused("LimitExceeded", f"{len(told)} reports are more than {MAX_REPORTS}", "Send them in parts.")

    def work(now: Turn) -> ReportsAnswer:
        sites.check_served(now.tx, site)
        current = now.tx.epoch()
        if epoch and epoch != current:
            # said of wishes that a restore undid: the site relists, and says it again of those that there are
            return ReportsAnswer(epoch=current, accepted=(), unknown=(), server_time=now.tx.now())
        known, unknown = list[Report](), list[Report]()
        for report in told:
            (known if _known(now.tx, site, report) else unknown).append(report)
        for report in known:
            now.tx.put_report(site, report)
        if unknown:
            sites.orphan(now, site, {report.uid: _orphaned(report) for report in unknown})
        if known:
            now.wake("loops")
        return ReportsAnswer(
            epoch=current,
            accepted=tuple((report.uid, report.attempt, report.version) for report in known),
            unknown=tuple(dict.fromkeys(report.uid for report in unknown)),
            server_time=now.tx.now(),
        )

    return changed(deps, work)


def row_of(tx: Tx, uid: str, site: str) -> Row | None:
    """The job or endpoint that this site means by a uid."""
    try:
        kind, workspace, name = split_uid(uid)
    except Refused:
        return None
    if kind == "job":
        return tx.get("job", workspace, name)
    if kind == "endpoint":
        return endpoint_at(tx, site, workspace, name)
    return tx.get("feedback", "", name) if kind == "feedback" else None


def _look(deps: Deps, site: str, after: int, epoch: str) -> Wishes:
    limit = deps.settings.loop_batch
    with deps.store.read() as tx:
        sites.check_served(tx, site)
        current, now = tx.epoch(), tx.now()
        if epoch and epoch != current:
            return Wishes(epoch=current, cursor=0, relist=True, server_time=now)
        rows = tx.wishes(site, after, limit)
    return Wishes(
        epoch=current, cursor=rows[-1].cursor if rows else after, wishes=tuple(_wish(row) for row in rows),
        more=len(rows) == limit, server_time=now,
    )  # fmt: skip


def _wish(row: WishRow) -> Wish:
    return Wish.model_validate(row.model_dump(exclude={"site"}))


def _known(tx: Tx, site: str, report: Report) -> bool:
    if tx.wish(site, report.uid) is not None or tx.report(site, report.uid) is not None:
        return True
    if isinstance(report.status, GoneStatus):
        return True
    row = row_of(tx, report.uid, site)
    return row is not None and row.status.get("site") == site


def _orphaned(report: Report) -> dict[str, str]:
    phase = getattr(report.status, "phase", "") or getattr(report.status, "state", "")
    return {"phase": phase, "kind": report.status.kind, "at": report.at.isoformat()}


def forget_orphans(now: Turn, site: str, uids: Iterable[str]) -> None:
    """They are known again, or gone."""
    row = now.tx.get("site", "", site)
    orphans = dict(row.status.get("orphans", {})) if row else {}
    gone = [uid for uid in uids if orphans.pop(uid, None) is not None]
    if row is not None and gone:
        now.tx.update(row.model_copy(update={"status": {**row.status, "orphans": orphans}}))
