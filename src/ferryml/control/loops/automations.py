"""Drives automations: looks at triggers, begins runs one at a time, and carries each run one turn further."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ferryml.control import automation_effects as effects
from ferryml.control import notices, triggers
from ferryml.control.automations import ENABLED, run_of, spec_of
from ferryml.control.context import Deps, Turn, changed
from ferryml.control.ports import Edge, Json, Row
from ferryml.domain.automation import ACTIVE, ENDED, Run, Transition, decide
from ferryml.domain.errors import Conflict, FerryError, Refused

log = logging.getLogger(__name__)


def tick(deps: Deps) -> int:
    """One turn over everything; how much moved."""
    with deps.store.read() as tx:
        automations = tx.find("automation", phases=(ENABLED,))
        pending = [row for row in tx.find("automation", archived="any") if row.status.get("pending")]
        runs = tx.find("automation_run", phases=ACTIVE, archived="any")
    done = sum(_safely(deps, triggers.look, row) for row in automations)
    done += sum(_safely(deps, _begin, row) for row in pending)
    return done + sum(_safely(deps, _carry, row) for row in runs)


def _safely(deps: Deps, act: Callable[[Deps, Row], int], row: Row) -> int:
    """One that is in trouble does not hold up the others; it is looked at again next time."""
    try:
        return act(deps, row)
    except FerryError as error:
        log.warning("%s %s waits: %s: %s", row.kind, row.name, error.code, error.message)
        return 0


def _begin(deps: Deps, row: Row) -> int:
    """A new run for what fired, unless one is under way: then it waits, and later triggers join it."""
    return changed(deps, lambda now: _begin_in(deps, now, row))


def _begin_in(deps: Deps, now: Turn, stale: Row) -> int:
    row = now.tx.get("automation", stale.workspace, stale.name)
    if row is None or not row.status.get("pending"):
        return 0
    if now.tx.find("automation_run", workspace=row.workspace, parent=row.name, phases=ACTIVE, limit=1):
        return 0
    number = _number(now, row)
    fired, *waiting = row.status["pending"]
    run = Run(automation=row.name, run=str(number), trigger=fired)
    first = Transition(at=now.tx.now(), state="triggered", reason=_because(run.trigger), evidence=run.trigger)
    run = run.model_copy(update={"history": (first,)})
    status = {"run": run.model_dump(mode="json"), "caller": row.status["caller"]}
    made = Row(
        kind="automation_run", workspace=row.workspace, name=f"{row.name}-{number}", parent=row.name, spec=row.spec,
        status=status, phase=run.state, created_by=str(row.status["caller"]["name"]),
    )  # fmt: skip
    now.tx.insert(made)
    notices.tell(now, made, "", run, deps.settings.webhook_waiting)
    now.tx.update(row.model_copy(update={"status": {**row.status, "pending": waiting, "runs": number}}))
    node = f"automation:{row.name}/{number}"
    if run.trigger.get("data"):
        source = str(run.trigger["data"]).replace("azureml:", "data:")
        now.tx.link(Edge(workspace=row.workspace, source=source, relation="triggered", target=node))
    now.event(row.workspace, "automation.run", node, run.trigger)
    now.wake("loops")
    return 1


def _number(now: Turn, row: Row) -> int:
    """Never one that was: jobs and rollouts of an automation that was deleted keep their names."""
    last = now.tx.find("automation_run", workspace=row.workspace, parent=row.name, archived="any", limit=1,
                       newest_first=True)  # fmt: skip
    return max(int(row.status.get("runs", 0)), *(int(run_of(one).run) for one in last), 0) + 1


def _because(trigger: dict[str, Json]) -> str:
    match trigger.get("kind"):
        case "data":
            return f"{trigger['data']} is new"
        case "model":
            return f"model {trigger['model']} is new"
        case "cron":
            return f"it is {trigger['due']}"
        case "metric":
            words = f"{trigger['metric']} on {trigger['endpoint']} is {float(trigger['value']):.4f}"
            return f"{words} over the latest of {trigger['labels']} labels"
        case kind:
            return f"{kind} trigger by {trigger.get('by', 'nobody')}"


def _carry(deps: Deps, row: Row) -> int:
    """One turn of one run. Effects first, then the state: an effect done twice is done once."""
    spec, run = spec_of(row), run_of(row)
    with deps.store.read() as tx:
        now = tx.now()
    try:
        after, todo = decide(spec, run, effects.look(deps, row, spec, run), now)
        for effect in todo:
            effects.apply(deps, row, spec, after, effect)
    except Refused as error:
        if isinstance(error, Conflict) and error.code in ("OperationInProgress", "VersionConflict"):
            return 0
        failed = Transition(at=now, state="failed", reason=error.message, evidence=error.as_dict())
        after = run.model_copy(update={"state": "failed", "history": (*run.history, failed)})
    except FerryError as error:
        log.info("run %s waits: %s", row.name, error.message)
        return 0
    if after == run:
        return 0
    return changed(deps, lambda at: _write(deps, at, row, run, after))


def _write(deps: Deps, now: Turn, stale: Row, before: Run, after: Run) -> int:
    row = now.tx.get("automation_run", stale.workspace, stale.name)
    if row is None or run_of(row) != before:
        return 0
    status: dict[str, Any] = {**row.status, "run": after.model_dump(mode="json")}
    now.tx.update(row.model_copy(update={"status": status, "phase": after.state}))
    node = f"automation:{after.automation}/{after.run}"
    if after.history[len(before.history) :]:
        last = after.history[-1]
        now.event(row.workspace, f"automation.{last.state}", node, {"reason": last.reason, "evidence": last.evidence})
        notices.tell(now, row, before.state, after, deps.settings.webhook_waiting)
    if after.model and after.model != before.model:
        now.tx.link(Edge(workspace=row.workspace, source=node, relation="registered", target=f"model:{after.model}"))
    if after.state in ENDED:
        log.info("automation %s run %s ended: %s", after.automation, after.run, after.state)
    now.wake("loops")
    return 1
