"""Delivers what waits in the outbox: of each webhook one event at a time, in order as far as its receiver lets it.

At least once: an event stays in the outbox until its receiver has taken it, or it is given up and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from ferryml.control.context import Deps, Turn, changed
from ferryml.control.notices import UNTOLD
from ferryml.control.ports import Answered, Json, Row, Tx
from ferryml.control.webhooks import ACTIVE, GONE, WAITING, send, waiting
from ferryml.control.workspaces import public_url
from ferryml.domain.errors import FerryError
from ferryml.domain.webhooks import BUSY, Tried, Verdict, automation_event, judge

log = logging.getLogger(__name__)
AT_ONCE = 8
"""Posts at a time."""
ASIDE = 100
"""How far one looks past events that were put aside: so many are tried again beside those that follow."""
PAGE, PAGES = 500, 10
KEPT_FAILURES = 10


def tick(deps: Deps) -> int:
    """One attempt for each webhook whose turn it is; how many were made."""
    with deps.store.read() as tx:
        due, orphans = _due(tx, tx.now())
    if orphans:
        changed(deps, lambda now: _give_up(now, {}, orphans, {"reason": "its webhook was deleted"}))
    if not due:
        return 0
    with ThreadPoolExecutor(len(due), thread_name_prefix="ferry-webhook") as pool:
        return sum(pool.map(partial(_deliver, deps), due))


def _due(tx: Tx, now: datetime) -> tuple[list[tuple[Row, Row]], list[Row]]:
    """(webhook, event) of those that may be tried now, and events whose webhook is not there any more.

    Who has waited longest since its last attempt comes first.
    """
    found: dict[tuple[str, str], tuple[Row, Row]] = {}
    seen: dict[tuple[str, str], int] = {}
    hooks: dict[tuple[str, str], Row | None] = {}
    orphans: list[Row] = []
    for event in _outbox(tx):
        at = (event.workspace, event.parent)
        seen[at] = seen.get(at, 0) + 1
        if at in found or seen[at] > ASIDE:
            continue
        if at not in hooks:
            hooks[at] = tx.get("webhook", *at)
        hook = hooks[at]
        if hook is None:
            orphans.append(event)
        elif _may(hook, now) and _after(event.status.get("not_before"), now):
            found[at] = (hook, event)
    first = sorted(found.values(), key=lambda one: (str(one[0].status.get("tried_at") or ""), one[1].seq))
    return first[:AT_ONCE], orphans


def _outbox(tx: Tx) -> Iterator[Row]:
    after = 0
    for _ in range(PAGES):
        rows = tx.find("delivery", phases=(WAITING,), after=after, limit=PAGE)
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].seq


def _may(hook: Row, now: datetime) -> bool:
    return hook.phase == ACTIVE and _after((hook.status.get("failing") or {}).get("next_at"), now)


def _after(moment: str | None, now: datetime) -> bool:
    return moment is None or datetime.fromisoformat(moment) <= now


def _deliver(deps: Deps, one: tuple[Row, Row]) -> int:
    hook, event = one
    said, why = Answered(status=0), ""
    try:
        said = send(deps, hook, automation_event(event.spec, event.workspace, public_url(deps), event.seq))
    except FerryError as error:
        why = error.message
    why = why or f"the receiver answered {said.status}"
    return changed(deps, lambda now: _settle(deps, now, event, said, why))


def _settle(deps: Deps, now: Turn, stale: Row, said: Answered, why: str) -> int:
    """Write what became of an attempt. Who was overtaken (another replica, a deletion) writes nothing."""
    # every attempt ends in an update of its webhook: one read before its event is refused if it was overtaken between
    hook = now.tx.get("webhook", stale.workspace, stale.parent)
    event = now.tx.get("delivery", stale.workspace, stale.name)
    if event is None or hook is None or event.etag != stale.etag:
        return 0
    at, patience = now.tx.now(), deps.settings.webhook_retry_s
    attempts = int(event.status["attempts"]) + 1
    event = event.model_copy(update={"status": {"attempts": attempts}})
    tried = Tried(str(event.spec["id"]), said.status, attempts, at - _born(event, at), said.retry_after_s)
    verdict = judge(tried, patience)
    status: dict[str, Json] = {**hook.status, "tried_at": at.isoformat()}
    failure: dict[str, Json] = {"at": at.isoformat(), "reason": why, "said": said.said, **_named(event)}
    down = said.status == 0 or said.status in BUSY
    if not down:
        status.pop("failing", None)
    if (status.get("refused") or {}).get("id") == event.spec["id"]:
        status.pop("refused")
    match verdict.word:
        case "taken":
            now.tx.delete("delivery", event.workspace, event.name)
            status |= {"delivered": int(status.get("delivered", 0)) + 1, "last_delivered_at": at.isoformat()}
        case "gone":
            log.info("webhook %s of %s is gone: its receiver answered 410", hook.name, hook.workspace)
            reason = {"reason": "the receiver answered 410: it wants no more"}
            _give_up(now, status, [event, *_others(now.tx, hook, event)], failure | reason)
            now.event(hook.workspace, "webhook.gone", f"webhook:{hook.name}", reason)
            hook = hook.model_copy(update={"phase": GONE})
            status.pop("refused", None)
        case "over":
            words = f"{why}; given up after {attempts} attempt" + ("s" if attempts > 1 else "")
            _give_up(now, status, [event], failure | {"reason": words})
        case "wait" | "aside":
            _again(now, event, verdict, at)
            status |= {} if down else {"refused": failure}
    if down:
        status["failing"] = _failing(status, verdict, attempts, failure)
        old = [one for one in _others(now.tx, hook, event) if (at - _born(one, at)).total_seconds() > patience]
        _give_up(now, status, old, failure | {"reason": f"it waited too long behind others; last {why}"})
    now.tx.update(hook.model_copy(update={"status": status}))
    return 1


def _again(now: Turn, event: Row, verdict: Verdict, at: datetime) -> None:
    status = dict(event.status)
    if verdict.word == "aside":
        status["not_before"] = (at + verdict.pause).isoformat()
    now.tx.update(event.model_copy(update={"status": status}))


def _failing(status: dict[str, Json], verdict: Verdict, attempts: int, failure: dict[str, Json]) -> dict[str, Json]:
    """What is wrong with the receiver, and until when nothing is sent to it; over: the next one is tried soon."""
    before = status.get("failing") or {}
    at = datetime.fromisoformat(str(failure["at"]))
    pause = verdict.pause or timedelta(seconds=1)
    return {
        "since": before.get("since") or failure["at"], "attempts": attempts, "reason": failure["reason"],
        "said": failure["said"], "next_at": (at + pause).isoformat(),
    }  # fmt: skip


def _give_up(now: Turn, status: dict[str, Json], events: list[Row], failure: dict[str, Json]) -> None:
    """Out of the outbox, into the automation's events and the webhook's own last failures."""
    for event in events:
        if not now.tx.delete("delivery", event.workspace, event.name):
            continue
        told = {"webhook": event.parent, "event": event.spec["event"], "reason": failure["reason"]}
        node = f"automation:{event.spec['automation']}/{event.spec['run']}"
        now.event(event.workspace, UNTOLD, node, {**told, "attempts": int(event.status["attempts"])})
        kept = [{**failure, **_named(event)}, *status.get("failures", [])]
        status |= {"failed": int(status.get("failed", 0)) + 1, "failures": kept[:KEPT_FAILURES]}


def _others(tx: Tx, hook: Row, event: Row) -> list[Row]:
    return [one for one in waiting(tx, hook, 1000) if one.name != event.name]


def _named(event: Row) -> dict[str, Json]:
    return {key: event.spec[key] for key in ("id", "event", "automation", "run")}


def _born(event: Row, now: datetime) -> datetime:
    return event.created_at or now
