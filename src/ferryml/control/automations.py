"""Automations: put, shown, fired, paused, approved; their runs with the evidence of every move."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ferryml.control import notices
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need, need_workspace, page, parsed, shown
from ferryml.domain.automation import ACTIVE, ENDED, Run
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.refs import AssetRef, asset_ref
from ferryml.domain.spec.automation import Automation, DataTrigger, ModelTrigger

ENABLED, PAUSED = "Enabled", "Paused"


def put(deps: Deps, caller: Caller, workspace: str, name: str, document: Mapping[str, Any]) -> Json:
    """Make or replace. What exists now fires nothing; runs under way keep the spec they began with."""
    allow(caller, "job.write", workspace)
    allow(caller, "endpoint.write", workspace)
    spec = parsed(Automation, {**document, "name": name})
    data = spec.model_dump(mode="json")

    def work(now: Turn) -> Row:
        need_workspace(now.tx, workspace)
        notices.check(now.tx, workspace, spec)
        old = now.tx.get("automation", workspace, name)
        kept: dict[str, Json] = dict(old.status) if old else {}
        kept["caller"] = {"name": spec.run_as or caller.name, "role": caller.role, "workspace": caller.workspace}
        kept["seen"] = _newest(now.tx, workspace, spec) | kept.get("seen", {})
        phase = ENABLED if spec.enabled else PAUSED
        if old is not None and bool(old.spec.get("enabled", True)) == spec.enabled:
            phase = old.phase  # the same document again does not undo a person's pause
        if old is None:
            kept["since"] = now.tx.now().isoformat()
            row = Row(
                kind="automation", workspace=workspace, name=name, spec=data, status=kept, phase=phase,
                created_by=caller.name,
            )  # fmt: skip
            row = now.tx.insert(row)
        else:
            row = now.tx.update(old.model_copy(update={"spec": data, "status": kept, "phase": phase}))
        now.record(caller, workspace, "automation.put", f"automation:{name}")
        now.wake("loops")
        return row

    return view(changed(deps, work))


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One automation with its latest run."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "automation", workspace, name)
        runs = tx.find("automation_run", workspace=workspace, parent=name, limit=1, newest_first=True)
    return view(row, runs[0] if runs else None)


def list_automations(deps: Deps, caller: Caller, workspace: str, after: int, limit: int) -> dict[str, Json]:
    """All of a workspace, newest first."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find("automation", workspace=workspace, after=after, limit=limit, newest_first=True)
    return page(rows, limit, [view(row) for row in rows])


def delete(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Remove it; refused while a run is under way. Its history stays in events and lineage."""
    allow(caller, "job.write", workspace)

    def work(now: Turn) -> None:
        need(now.tx, "automation", workspace, name)
        if now.tx.find("automation_run", workspace=workspace, parent=name, phases=ACTIVE, limit=1):
            raise Conflict("OperationInProgress", f"automation {name} has a run under way", "Wait until it has ended.")
        now.tx.delete("automation", workspace, name)
        now.record(caller, workspace, "automation.delete", f"automation:{name}")

    changed(deps, work)


def history(deps: Deps, caller: Caller, workspace: str, name: str, after: int, limit: int) -> dict[str, Json]:
    """Runs, newest first."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        need(tx, "automation", workspace, name)
        rows = tx.find("automation_run", workspace=workspace, parent=name, after=after, limit=limit, newest_first=True)
    return page(rows, limit, [view_run(row) for row in rows])


def show_run(deps: Deps, caller: Caller, workspace: str, name: str, run: str) -> Json:
    """One run; events of webhooks lead here."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        return view_run(need(tx, "automation_run", workspace, f"{name}-{run}"))


def trigger(deps: Deps, caller: Caller, workspace: str, name: str, inputs: Mapping[str, Any]) -> Json:
    """Fire by hand. `inputs` may pin `data` or `model` as azureml:NAME:VERSION; else the latest."""
    allow(caller, "job.write", workspace)
    unknown = sorted(set(inputs) - {"data", "model"})
    if unknown:
        raise Refused("UnknownField", f"inputs.{unknown[0]} is not known", "A trigger takes data and model.")

    def work(now: Turn) -> Row:
        row = need(now.tx, "automation", workspace, name)
        fired = {"kind": "manual", "by": caller.name, "at": now.tx.now().isoformat(), **_named(inputs)}
        now.record(caller, workspace, "automation.trigger", f"automation:{name}", dict(inputs))
        return fire(now, row, fired)

    return view(changed(deps, work))


def set_paused(deps: Deps, caller: Caller, workspace: str, name: str, paused: bool) -> Json:
    """Pause: nothing fires any more; a run under way goes on. Resume takes up from now."""
    allow(caller, "job.write", workspace)

    def work(now: Turn) -> Row:
        row = need(now.tx, "automation", workspace, name)
        status = {**row.status, "since": now.tx.now().isoformat()}
        if not paused and row.phase == PAUSED:
            status |= {"seen": _newest(now.tx, workspace, spec_of(row)), "cron": {}}
        now.record(caller, workspace, "automation.pause" if paused else "automation.resume", f"automation:{name}")
        now.wake("loops")
        return now.tx.update(row.model_copy(update={"phase": PAUSED if paused else ENABLED, "status": status}))

    return view(changed(deps, work))


def answer(deps: Deps, caller: Caller, workspace: str, at: tuple[str, str], yes: bool) -> Json:
    """A person's word on a run that waits for it; `at` is (automation, run)."""
    allow(caller, "endpoint.write", workspace)
    name, run = at

    def work(now: Turn) -> Row:
        row = need(now.tx, "automation_run", workspace, f"{name}-{run}")
        if row.phase != "awaiting_approval":
            raise Conflict("OperationInProgress", f"run {run} is {row.phase}, it waits for nobody", "")
        word = "approved" if yes else "rejected"
        now.record(caller, workspace, f"automation.{word}", f"automation:{name}/{run}")
        now.wake("loops")
        status = {**row.status, "approval": word, "approver": caller.name}
        return now.tx.update(row.model_copy(update={"status": status}))

    return view_run(changed(deps, work))


def fire(now: Turn, row: Row, fired: dict[str, Json]) -> Row:
    """Remember that something fired; several before the next run become one, the latest.

    Only a model made elsewhere waits for a run of its own, for such a run trains nothing.
    """
    kept: list[dict[str, Json]] = list(row.status.get("pending") or ())
    same = next((one for one in kept if _source(one) == _source(fired)), None)
    pending = [{**one, **fired} if one is same else one for one in kept] + ([fired] if same is None else [])
    now.event(row.workspace, "automation.triggered", f"automation:{row.name}", fired)
    now.wake("loops")
    return now.tx.update(row.model_copy(update={"status": {**row.status, "pending": pending}}))


def view(row: Row, run: Row | None = None) -> dict[str, Json]:
    """As it is answered."""
    hidden = ("caller", "seen", "pending", "since", "cron", "metrics", "runs")
    ours = {key: value for key, value in row.status.items() if key not in hidden}
    ours["pending"] = bool(row.status.get("pending"))
    extra: dict[str, Json] = {"phase": row.phase}
    if run is not None:
        extra["last_run"] = view_run(run)
    return shown(row, ours, **extra)


def view_run(row: Row) -> dict[str, Json]:
    """One run: state, what fired it, candidate, champion, model, and each transition with its evidence."""
    run = run_of(row)
    last = run.history[-1] if run.history else None
    return {
        **run.model_dump(mode="json"),
        "name": run.run,
        "reason": last.reason if last else "",
        "started_at": row.created_at.isoformat() if row.created_at else None,
        "ended": run.state in ENDED,
    }


def run_of(row: Row) -> Run:
    """The run in a row."""
    return Run.model_validate(row.status["run"])


def spec_of(row: Row) -> Automation:
    """The spec of an automation's row, or the one that a run began with."""
    return parsed(Automation, row.spec)


def asset_name(text: str) -> str:
    """The name in `azureml:NAME`."""
    ref = asset_ref(text)
    if not isinstance(ref, AssetRef):
        raise Refused("BadReference", f"{text} names no asset of this workspace", "Write azureml:NAME.")
    return ref.name


def newest(tx: Tx, kind: str, workspace: str, name: str) -> Row | None:
    """The most recently created version of an asset."""
    return tx.latest("data" if kind == "data" else "model", workspace, name)


def instant(text: str) -> datetime:
    """A moment as it is kept in status."""
    return datetime.fromisoformat(text)


def _source(fired: Mapping[str, Json]) -> str:
    return str(fired.get("model") or "").partition(":")[0]


def _newest(tx: Tx, workspace: str, spec: Automation) -> dict[str, int]:
    seen: dict[str, int] = {}
    for one in spec.triggers:
        if isinstance(one, DataTrigger | ModelTrigger):
            name = asset_name(one.asset)
            row = newest(tx, one.type, workspace, name)
            seen[f"{one.type}:{name}"] = row.seq if row else 0
    return seen


def _named(inputs: Mapping[str, Any]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, text in inputs.items():
        ref = asset_ref(str(text))
        if not isinstance(ref, AssetRef) or not ref.version:
            raise Refused("BadReference", f"inputs.{key}: {text!r} names no version", "Write azureml:NAME:VERSION.")
        found[key] = f"azureml:{ref.name}:{ref.version}" if key == "data" else f"{ref.name}:{ref.version}"
    return found
