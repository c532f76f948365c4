"""Jobs: taken with everything resolved, shown with the reason, cancelled, archived."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ferryml.control import computes, explain, grants, job_orders
from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Row
from ferryml.control.rows import missing, need, need_workspace, page, parsed, shown
from ferryml.control.workspaces import public_url
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.expressions import check as check_expressions
from ferryml.domain.names import job_name
from ferryml.domain.orders import JobOrder
from ferryml.domain.spec.job import CommandJob
from ferryml.domain.uids import uid_of

TERMINAL = ("Completed", "Failed", "Canceled")
CHANGEABLE = ("description", "display_name", "tags", "properties")
PRIVATE = ("order",)


def create(
    deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any], parent: str = "",
    prepare_only: bool = False,
) -> Json:  # fmt: skip
    """Take a command job. Everything that can be refused is refused now; nothing is half done.

    `parent` is the name of what made it (an automation run), for lists; with `prepare_only` its environment is made
    and nothing is run.
    """
    allow(caller, "job.write", workspace)
    spec = _spec(document)
    check_expressions(spec)
    name = spec.name or job_name(_below(deps))
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        if tx.get("job", workspace, name) is not None:
            raise _exists(name)
    resolved = job_orders.resolve(deps, workspace, spec, name)
    tags = {**spec.tags, "mlflow.runName": spec.display_name or name, "mlflow.user": caller.name}
    tags |= {key: value for key, value in spec.properties.items() if key.startswith("mlflow.")}
    run = deps.tracking.create_run(workspace, resolved.order.mlflow_experiment, name, tags)
    order = resolved.order.model_copy(update={"mlflow_run_id": run, "prepare_only": prepare_only})
    row = _row(caller, spec, order, resolved, parent)
    with turn(deps) as now:
        if now.tx.get("compute", workspace, order.compute) is None:
            raise missing("compute", workspace, order.compute)
        row = now.tx.insert(row)
        for edge in resolved.edges:
            now.tx.link(edge)
        now.record(caller, workspace, "job.create", f"job:{name}", {"compute": order.compute})
        now.wake("loops")
    return view(deps, row)


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One job with its status, times, outputs and the reason in words."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "job", workspace, name)
        site = tx.get("site", "", str(row.status.get("site")))
    return view(deps, row, explain.reason(row, site))


def why(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """Why the job is where it is, and what would mend it."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "job", workspace, name)
        site = tx.get("site", "", str(row.status.get("site")))
        places = computes.places(tx, workspace)
    return explain.explain(row, site, places)


def list_jobs(
    deps: Deps, caller: Caller, workspace: str, span: tuple[int, int], phases: tuple[str, ...] = (),
    parent: str | None = None, archived: Literal["no", "yes", "any"] = "no",
) -> dict[str, Json]:  # fmt: skip
    """Newest first; `span` is (after, limit)."""
    allow(caller, "job.read", workspace)
    after, limit = span
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find(
            "job", workspace=workspace, phases=phases, parent=parent, archived=archived, after=after, limit=limit,
            newest_first=True,
        )  # fmt: skip
    return page(rows, limit, [view(deps, row) for row in rows])


def cancel(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """Ask for the end of it; a job that was not sent yet is over at once, one that has ended stays as it is."""
    allow(caller, "job.write", workspace)
    with deps.store.read() as tx:
        row = need(tx, "job", workspace, name)
    if row.phase == "NotStarted":
        deps.tracking.end_run(workspace, str(row.status["mlflow_run_id"]), "KILLED")
    return view(deps, changed(deps, lambda now: _cancelled(deps, now, caller, workspace, name)))


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change description, display_name, tags or properties."""
    allow(caller, "job.write", workspace)
    if unknown := sorted(set(changes) - set(CHANGEABLE)):
        raise Refused("NotSupported", f"{unknown[0]!r} of a job never changes", f"{', '.join(CHANGEABLE)} can.")

    def work(now: Turn) -> Row:
        row = need(now.tx, "job", workspace, name)
        spec = parsed(CommandJob, {**row.spec, **changes})
        now.record(caller, workspace, "job.update", f"job:{name}", {"fields": sorted(changes)})
        return now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json")}))

    return view(deps, changed(deps, work))


def archive(deps: Deps, caller: Caller, workspace: str, name: str, archived: bool = True) -> Json:
    """Hide it from lists, or show it again."""
    allow(caller, "job.write", workspace)

    def work(now: Turn) -> Row:
        row = need(now.tx, "job", workspace, name)
        if archived and row.phase not in TERMINAL:
            raise Conflict("InUse", f"job {name} is {row.phase}; only a job that has ended is archived", "Cancel it.")
        now.record(caller, workspace, f"job.{'archive' if archived else 'restore'}", f"job:{name}")
        return now.tx.update(row.model_copy(update={"archived": archived}))

    return view(deps, changed(deps, work))


def outputs(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """output -> `{tree, place, bound, site, asset}`."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        return dict(need(tx, "job", workspace, name).status.get("outputs") or {})


def view(deps: Deps, row: Row, reason: str = "") -> Json:
    """A job as `az ml` shows it."""
    status = {key: value for key, value in row.status.items() if key not in PRIVATE}
    url = public_url(deps)
    ours = {**status, "reason": reason or status.get("reason", ""), "logs_stay": explain.kept_where(row)}
    return shown(
        row, ours, status=row.phase, mlflow_run_id=status.get("mlflow_run_id", ""),
        parent_job_name=row.parent or None, display_name=row.spec.get("display_name") or row.name,
        experiment_name=row.spec.get("experiment_name") or "Default",
        compute=row.labels.get("compute") or row.spec.get("compute"),
        services={
            "Tracking": {"endpoint": f"{url}/mlflow", "type": "Tracking"},
            "Studio": {"endpoint": f"{url}/workspaces/{row.workspace}/jobs/{row.name}", "type": "Studio"},
        },
    )  # fmt: skip


def order_of(row: Row) -> JobOrder:
    """The order that was stored with a job."""
    return JobOrder.model_validate(row.status["order"])


def _spec(document: Mapping[str, Any]) -> CommandJob:
    kind = document.get("type")
    if isinstance(kind, str) and kind.lower() in ("sweep", "pipeline", "parallel", "automl", "spark"):
        raise Refused("NotSupported", f"jobs of type {kind} are not supported yet", "Submit command jobs.")
    return parsed(CommandJob, document)


def _row(caller: Caller, spec: CommandJob, order: JobOrder, resolved: job_orders.Resolved, parent: str) -> Row:
    status = {
        "uid": uid_of("job", order.workspace, order.name), "site": resolved.place.site, "attempt": 0, "times": [],
        "reason": "", "code": "", "exit_code": None, "error_lines": [], "outputs": {}, "notes": list(resolved.notes),
        "mlflow_run_id": order.mlflow_run_id, "resolved_inputs": resolved.inputs,
        "residency": order.residency.model_dump(mode="json"), "order": order.model_dump(mode="json"),
    }  # fmt: skip
    labels = {"compute": order.compute, "run": order.mlflow_run_id}
    return Row(
        kind="job", workspace=order.workspace, name=order.name, status=status, phase="NotStarted", parent=parent,
        spec={**spec.model_dump(mode="json", by_alias=True), "name": order.name}, labels=labels,
        created_by=caller.name,
    )  # fmt: skip


def _cancelled(deps: Deps, now: Turn, caller: Caller, workspace: str, name: str) -> Row:
    row = need(now.tx, "job", workspace, name)
    if row.phase in TERMINAL or row.phase == "CancelRequested":
        return row
    now.record(caller, workspace, "job.cancel", f"job:{name}")
    at = {"phase": "CancelRequested", "at": now.tx.now().isoformat()}
    if row.phase == "NotStarted":
        ended = {**row.status, "reason": f"cancelled by {caller.name} before it was sent to its site"}
        ended["times"] = [*row.status["times"], {**at, "phase": "Canceled"}]
        now.wake(f"job:{row.status['uid']}")
        return now.tx.update(row.model_copy(update={"phase": "Canceled", "status": ended}))
    order = order_of(row).model_copy(update={"cancel": True})
    site, uid = str(row.status["site"]), str(row.status["uid"])
    now.tx.put_wish(site, uid, order.model_dump(mode="json"), grants.signer(deps, site, order))
    now.wake(f"site:{site}", f"job:{uid}")
    status = {
        **row.status, "order": order.model_dump(mode="json"), "reason": f"{caller.name} asked for its end",
        "times": [*row.status["times"], at],
    }  # fmt: skip
    return now.tx.update(row.model_copy(update={"phase": "CancelRequested", "status": status}))


def _below(deps: Deps) -> Callable[[int], int]:
    return lambda n: int(deps.dice.id(12), 36) % n


def _exists(name: str) -> Conflict:
    return Conflict("AlreadyExists", f"job {name} exists already.", "Choose another name, or leave it out.")
