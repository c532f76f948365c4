"""What fires an automation: the clock, a new version, a live metric. Level-triggered: missed looks lose nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from ferryml.control.automations import asset_name, fire, instant, newest, spec_of
from ferryml.control.context import Deps, Turn, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.serving_wishes import parts_of
from ferryml.domain.automation import MetricSeen, metric_fires
from ferryml.domain.spec.automation import CronTrigger, DataTrigger, MetricTrigger, ModelTrigger

Fired = dict[str, Json]
MADE_BY = "automation"
"""Label of models that an automation registered: they do not fire a model trigger."""


def look(deps: Deps, row: Row) -> int:
    """Look at every trigger of one automation; how many fired. Most looks only read."""
    with deps.store.read() as tx:
        status = dict(row.status)
        if not list(_fired(tx, row, status)) and status == row.status:
            return 0
    return changed(deps, lambda now: _look(now, row))


def _look(now: Turn, stale: Row) -> int:
    row = now.tx.get("automation", stale.workspace, stale.name)
    if row is None or row.phase != stale.phase:
        return 0
    status = dict(row.status)
    fired = list(_fired(now.tx, row, status))
    if status != row.status:
        row = now.tx.update(row.model_copy(update={"status": status}))
    for one in fired:
        row = fire(now, row, {**one, "at": now.tx.now().isoformat()})
    return len(fired)


def _fired(tx: Tx, row: Row, status: dict[str, Json]) -> Iterator[Fired]:
    for index, one in enumerate(spec_of(row).triggers):
        found: Fired | None = None
        match one:
            case CronTrigger():
                found = _cron(one, status, f"{index}:{one.expression}", tx.now())
            case DataTrigger() | ModelTrigger():
                found = _asset(tx, row, one, status)
            case MetricTrigger():
                found = _metric(tx, row, one, status)
            case _:
                pass  # manual fires by hand; monitors bring their own alerts
        if found is not None:
            yield found


def _cron(trigger: CronTrigger, status: dict[str, Json], key: str, now: datetime) -> Fired | None:
    known: dict[str, str] = dict(status.get("cron") or {})
    zone = ZoneInfo(trigger.time_zone)
    if key not in known:
        status["cron"] = {**known, key: now.isoformat()}
        return None
    due: datetime = croniter(trigger.expression, instant(known[key]).astimezone(zone)).get_next(datetime)
    if due > now:
        return None
    status["cron"] = {**known, key: now.isoformat()}  # missed instants are not filled back
    return {"kind": "cron", "due": due.isoformat(), "expression": trigger.expression}


def _asset(tx: Tx, row: Row, trigger: DataTrigger | ModelTrigger, status: dict[str, Json]) -> Fired | None:
    name = asset_name(trigger.asset)
    key = f"{trigger.type}:{name}"
    seen: dict[str, int] = dict(status.get("seen") or {})
    latest = newest(tx, trigger.type, row.workspace, name)
    if latest is None or latest.seq <= seen.get(key, 0):
        return None
    quiet = timedelta(seconds=trigger.debounce) if isinstance(trigger, DataTrigger) else timedelta()
    if latest.created_at is not None and tx.now() - latest.created_at < quiet:
        return None
    status["seen"] = {**seen, key: latest.seq}
    if isinstance(trigger, DataTrigger):
        return {"kind": "data", "data": f"azureml:{name}:{latest.version}"}
    return None if MADE_BY in latest.labels else {"kind": "model", "model": f"{name}:{latest.version}"}


def _metric(tx: Tx, row: Row, trigger: MetricTrigger, status: dict[str, Json]) -> Fired | None:
    seen, revision = live_metric(tx, row.workspace, trigger)
    if seen is None or not metric_fires(trigger, seen):
        return None
    known: dict[str, Json] = dict(status.get("metrics") or {})
    key = f"{trigger.endpoint}:{trigger.metric}"
    last = known.get(key) or {}
    # the same labels do not fire twice: a revision must gather min_labels new ones
    if last.get("revision") == revision and seen.labels < int(last.get("labels", 0)) + trigger.min_labels:
        return None
    status["metrics"] = {**known, key: {"revision": revision, "labels": seen.labels}}
    return {
        "kind": "metric", "endpoint": trigger.endpoint, "metric": trigger.metric, "value": seen.value,
        "labels": seen.labels,
    }  # fmt: skip


def live_metric(tx: Tx, workspace: str, trigger: MetricTrigger) -> tuple[MetricSeen | None, str]:
    """The metric of the revision that has most of the traffic, and that revision; over all computes of the endpoint.

    Its value is over the last 1,000 labelled requests; its labels are all that were ever joined.
    """
    endpoint = tx.get("endpoint", workspace, trigger.endpoint)
    if endpoint is None or trigger.metric != "accuracy":
        return None, ""
    revisions, correct, recently, labels = list[str](), 0, 0, 0
    for part in parts_of(tx, endpoint):
        seen: dict[str, Any] = part.status.get("seen") or {}
        weights: dict[str, int] = seen.get("weights") or {}
        if not weights:
            continue
        revision = max(weights, key=lambda name: (weights[name], name))
        recent, total = (seen.get(key, {}).get(revision) or {} for key in ("recent_accuracy", "accuracy"))
        revisions.append(revision)
        correct, recently = correct + int(recent.get("correct", 0)), recently + int(recent.get("labels", 0))
        labels += int(total.get("labels", 0)) if recent.get("labels") else 0
    name = "+".join(sorted(revisions))
    return (MetricSeen(correct / recently, labels) if recently else None), name
