"""Rollouts: made by hand, from CI or by an automation; carried out by sites, ordered and remembered here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ferryml.control import deployment_orders, spread_rollouts
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.deployments import Plan
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need, need_workspace, page, parsed, shown
from ferryml.control.serving_wishes import (
    BUDGET_S,
    Command,
    called,
    command,
    deployment_key,
    need_endpoint,
    parts_of,
    spread,
)
from ferryml.control.spread import refuse_one_folder
from ferryml.domain.automation import RolloutSeen
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.orders import RolloutOrder, RolloutStep
from ferryml.domain.spec.rollout import Rollout, RolloutPlan

Verb = Literal["promote", "rollback", "pause", "resume"]
ACTIVE = ("running", "holding", "undoing")
ENDED = ("promoted", "rolled_back", "failed")
COMMANDS: dict[Verb, Command] = {"promote": "promote", "rollback": "rollback", "pause": "pause", "resume": "run"}


def create(
    deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any], parent: str = ""
) -> dict[str, Json]:
    """Take a rollout. What can never work is refused now; endpoints are begun by the loop, in their order.

    `parent` is the run of an automation that asked for it.
    """
    allow(caller, "endpoint.write", workspace)
    spec = parsed(Rollout, document)
    name = spec.name or f"rollout-{deps.dice.id(8)}"
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        if tx.get("rollout", workspace, name) is not None:
            raise Conflict("AlreadyExists", f"there is a rollout {name!r} already", "Give it another name.")
        endpoints = [need_endpoint(tx, workspace, endpoint) for endpoint in spec.endpoint_names]
        parts = spread_rollouts.targets(tx, endpoints)
    marks = spread_rollouts.marks(endpoints, parts)
    for endpoint in endpoints:
        if spread(endpoint):
            refuse_one_folder(spec.deployment, endpoint.spec["compute"])
    for part in parts:
        check_place(part, spec.deployment.name)
        resolved = deployment_orders.resolve(deps, workspace, part.name, str(part.spec["compute"]), _for(spec, part))
    if marks:
        # a site that takes it up later takes the same model
        deployment = deployment_orders.pinned(spec.deployment, resolved.revision)
        spec = spec.model_copy(update={"deployment": deployment})
    kept = {"name": caller.name, "role": caller.role, "workspace": caller.workspace}
    row = Row(
        kind="rollout", workspace=workspace, name=name, parent=parent, phase="running", created_by=caller.name,
        spec={**spec.model_dump(mode="json"), "name": name},
        status={"endpoints": {}, "skipped": [], "undo": [], "reason": "", "caller": kept, **marks},
    )  # fmt: skip

    def work(now: Turn) -> Row:
        made = now.tx.insert(row)
        now.record(caller, workspace, "rollout.create", f"rollout:{name}", {"endpoints": list(spec.endpoint_names)})
        now.wake("loops")
        return made

    return view(changed(deps, work))


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> dict[str, Json]:
    """One rollout; `ferry.endpoints` has state, percent and evidence of each endpoint."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        return view(need(tx, "rollout", workspace, name))


def list_rollouts(deps: Deps, caller: Caller, workspace: str, after: int, limit: int) -> dict[str, Json]:
    """Newest first."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find("rollout", workspace=workspace, after=after, limit=limit, newest_first=True)
    return page(rows, limit, [view(row) for row in rows])


def act(deps: Deps, caller: Caller, workspace: str, name: str, verb: Verb) -> dict[str, Json]:
    """Promote, roll back, pause or resume; the sites carry it out."""
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> Row:
        row = need(now.tx, "rollout", workspace, name)
        if row.phase in ENDED or row.phase == "undoing":
            raise Conflict("OperationInProgress", f"rollout {name} is {row.phase} already", "Make another one.")
        now.record(caller, workspace, f"rollout.{verb}", f"rollout:{name}")
        now.wake("loops")
        for endpoint in _under_way(now.tx, row):
            command(deps, now, endpoint, COMMANDS[verb])
        status = {**row.status, "paused": verb == "pause"}
        if verb != "rollback":
            return now.tx.update(row.model_copy(update={"status": status}))
        told = row.status["endpoints"]
        # one that the loop is beginning just now is not told of yet
        begun = [
            one for one in spec_of(row).endpoint_names
            if (told.get(one) or {}).get("state", "") not in ("rolled_back", "failed")
        ]  # fmt: skip
        status |= {"undo": begun, "reason": f"{caller.name} asked for it"}
        return now.tx.update(row.model_copy(update={"status": status, "phase": "undoing"}))

    return view(changed(deps, work))


def view(row: Row) -> dict[str, Json]:
    """As it is answered."""
    ours = {key: value for key, value in row.status.items() if key not in ("caller", "undo", "targets")}
    return {**shown(row, ours), "status": row.phase}


def seen(tx: Tx, workspace: str, name: str) -> RolloutSeen:
    """What an automation sees of its rollout."""
    row = tx.get("rollout", workspace, name)
    if row is None:
        return RolloutSeen()
    state = row.phase if row.phase in ("holding", *ENDED) else "running"
    last = {one: told["evidence"][-1:] for one, told in row.status["endpoints"].items()}
    return RolloutSeen(state=state, reason=str(row.status["reason"]), evidence=last)  # type: ignore[arg-type]


def champion(tx: Tx, workspace: str, plan: RolloutPlan) -> str:
    """Model that serves on the first endpoint of the plan, as azureml:NAME:VERSION; empty when none does."""
    for endpoint in plan.endpoint_names:
        parent = tx.get("endpoint", workspace, endpoint)
        for part in parts_of(tx, parent) if parent else ():
            row = tx.get("deployment", workspace, deployment_key(part.name, plan.deployment.name))
            serving = tx.get("revision", workspace, str(row.status.get("serving") or "none")) if row else None
            model = str(serving.spec.get("model_name", "")) if serving else ""
            if model:
                return model.replace("model:", "azureml:", 1)
    return ""


def check_place(endpoint: Row, deployment: str) -> None:
    """Raise Refused where the endpoint sends its requests elsewhere: a rollout there would prove nothing."""
    serving = [name for name, share in (endpoint.spec.get("traffic") or {}).items() if share]
    if serving and deployment not in serving:
        raise Refused(
            "BadReference",
            f"deployment {deployment!r} has no traffic on endpoint {endpoint.name}; {', '.join(serving)} has it",
            f"A rollout replaces what a deployment serves: write deployment.name: {serving[0]}.",
        )


def plan_of(spec: RolloutPlan, name: str) -> Plan:
    """How a candidate takes over, as the site is told."""
    mirror, step, limits = spec.mirror, spec.per_step, spec.rollback_if

    def plan(champion: str | None, candidate: str) -> RolloutOrder:
        return RolloutOrder(
            rollout=name, deployment=spec.deployment.name, champion=champion, candidate=candidate,
            mirror_percent=mirror.percent if mirror else 0, mirror_min_requests=mirror.min_requests if mirror else 0,
            mirror_timeout_s=mirror.timeout if mirror else 0,
            steps=tuple(
                RolloutStep(
                    percent=percent, min_requests=step.min_requests, min_duration_s=step.min_duration,
                    timeout_s=step.timeout, on_timeout=step.on_timeout,
                )
                for percent in spec.steps
            ),
            max_error_rate=limits.max_error_rate, max_p99_ratio=limits.max_p99_ratio, max_p99_ms=limits.max_p99_ms,
            max_mismatch_rate=mirror.max_mismatch_rate if mirror else None, min_sample=limits.min_requests,
            ready_timeout_s=BUDGET_S, keep_previous_s=spec.keep_previous,
        )  # fmt: skip

    return plan


def spec_of(row: Row) -> Rollout:
    """The spec of a rollout's row; of an endpoint on several computes it names each, as `ENDPOINT@COMPUTE`."""
    spec = parsed(Rollout, row.spec)
    targets = row.status.get("targets")
    return spec.model_copy(update={"endpoints": tuple(targets)}) if targets else spec


def under(tx: Tx, workspace: str, endpoint: str, name: str) -> dict[str, Any] | None:
    """The endpoint's word on this rollout: running, or the last that ended; None when it is another's."""
    row = tx.get("endpoint", workspace, endpoint)
    if row is None:
        return {"state": "failed", "reason": f"endpoint {endpoint} was deleted", "percent": 0, "evidence": []}
    ended: dict[str, dict[str, Any]] = row.status.get("rollouts") or {}
    if name in ended:
        return ended[name]
    order: dict[str, Any] = row.status.get("rollout") or {}
    if order.get("rollout") != name:
        return None
    told = row.status.get("rollout_status") or {}
    pending = {"state": "pending", "reason": "sent to the site", "percent": 0, "evidence": []}
    return {**(told if told.get("rollout") == name else pending), "revision": order["candidate"]}


def _under_way(tx: Tx, row: Row) -> list[Row]:
    found = [tx.get("endpoint", row.workspace, endpoint) for endpoint in spec_of(row).endpoint_names]
    return [one for one in found if one and (one.status.get("rollout") or {}).get("rollout") == row.name]


def _for(spec: Rollout, endpoint: Row) -> Any:
    deployment = spec.deployment
    name = called(endpoint)
    if deployment.endpoint_name not in (None, name) and len(spec.endpoint_names) == 1:
        raise Refused("BadValue", f"the deployment says endpoint_name {deployment.endpoint_name!r}, not {name!r}")
    return deployment.model_copy(update={"endpoint_name": name})
