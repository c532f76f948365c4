"""Deployments: each change is a new revision beside the old one, which serves untouched until the new one is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.control import deployment_orders
from ferryml.control.collection_orders import wants_new_revision
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.deployment_orders import Resolved
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import identity, parsed, shown
from ferryml.control.serving_wishes import (
    BUDGET_S,
    CANDIDATE,
    CREATING,
    DELETING,
    FAILED,
    PREVIOUS,
    SUCCEEDED,
    UPDATING,
    begin,
    deployment_key,
    deployments_of,
    free,
    need_deployment,
    need_endpoint,
    revisions_of,
    short,
)
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.names import ENDPOINT_AND_DEPLOYMENT
from ferryml.domain.orders import RolloutOrder
from ferryml.domain.spec.deployment import DataCollector, OnlineDeployment

MAX_PER_ENDPOINT = 20
WORDS = frozenset({"description", "tags", "properties"})
"""Changes that no site needs to hear of."""
ELASTIC = frozenset(
    {
        "instance_count",
        "scale_settings",
        "request_settings",
        "liveness_probe",
        "readiness_probe",
        "app_insights_enabled",
        "data_collector",
    }
)
"""Changes that the running revision takes on."""

Plan = Callable[[str | None, str], RolloutOrder]
"""(champion's revision or None, candidate's revision) -> how the candidate takes over."""


@dataclass(frozen=True, slots=True)
class Change:
    """A new revision on its way into the rows."""

    workspace: str
    endpoint: str
    spec: OnlineDeployment
    resolved: Resolved
    plan: Plan
    operation: Mapping[str, Json]


def create(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, document: Mapping[str, Any], all_traffic: bool = False
) -> Json:
    """A new deployment; it takes no traffic unless `all_traffic` is said, and then once it is ready."""
    spec = read_spec(endpoint, document)
    with deps.store.read() as tx:
        if tx.get("deployment", workspace, deployment_key(endpoint, spec.name)) is not None:
            raise exists(endpoint, spec.name)
    roll(deps, caller, workspace, endpoint, spec, straight, {"all_traffic": all_traffic, "create": True})
    return show(deps, caller, workspace, endpoint, spec.name)


def put(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str, document: Mapping[str, Any],
    all_traffic: bool = False,
) -> Json:  # fmt: skip
    """Create it, or replace its spec as a whole."""
    spec = read_spec(endpoint, {**document, "name": document.get("name", name)})
    if spec.name != name:
        raise Refused("BadValue", f"the document is of deployment {spec.name!r}, not {name!r}")
    with deps.store.read() as tx:
        there = tx.get("deployment", workspace, deployment_key(endpoint, name)) is not None
    if not there:
        return create(deps, caller, workspace, endpoint, spec.model_dump(mode="json", exclude_none=True), all_traffic)
    _renew(deps, caller, workspace, endpoint, spec)
    return show(deps, caller, workspace, endpoint, name)


def update(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str, changes: Mapping[str, Any]
) -> Json:  # fmt: skip
    """Change some fields of its spec."""
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        need_endpoint(tx, workspace, endpoint)
        row = need_deployment(tx, workspace, endpoint, name)
    if changes.get("name", name) != name:
        raise Refused("NotSupported", "the name of a deployment cannot change", "Create another one.")
    _renew(deps, caller, workspace, endpoint, changed_spec(row, endpoint, changes))
    return show(deps, caller, workspace, endpoint, name)


def changed_spec(row: Row, endpoint: str, changes: Mapping[str, Any]) -> OnlineDeployment:
    """The deployment with some fields changed."""
    return read_spec(endpoint, {**{key: value for key, value in row.spec.items() if value is not None}, **changes})


def bring(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, spec: OnlineDeployment, version: int
) -> None:  # fmt: skip
    """Create it or bring it to the spec; the row remembers which version of what was asked has been tried."""
    marks: dict[str, Json] = {"version": version, "behind": ""}
    with deps.store.read() as tx:
        there = tx.get("deployment", workspace, deployment_key(endpoint, spec.name))
    if there is None:
        roll(deps, caller, workspace, endpoint, spec, straight, {"create": True, **marks})
    else:
        _renew(deps, caller, workspace, endpoint, spec, marks)


def roll(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, spec: OnlineDeployment, plan: Plan,
    operation: Mapping[str, Json] | None = None,
) -> str:  # fmt: skip
    """Begin to take the deployment to a new revision, as `plan` says; the revision's name.

    Raises Refused for what can never serve, Conflict `OperationInProgress`; nothing is written then.
    """
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, endpoint)
        free(tx, row)
        before = tx.get("deployment", workspace, deployment_key(endpoint, spec.name))
        check_type(before, spec)
    resolved = deployment_orders.resolve(deps, workspace, endpoint, str(row.spec["compute"]), spec)
    change = Change(workspace, endpoint, spec, resolved, plan, operation or {})
    changed(deps, lambda now: _begin(deps, now, caller, change))
    return resolved.revision.revision


def back(deps: Deps, caller: Caller, workspace: str, endpoint: str, deployment: str, plan: Plan) -> str:
    """Begin to return to the revision that served before and is still kept; its name.

    Raises Conflict `OperationInProgress`, Refused `NotSupported` when nothing is kept.
    """
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> str:
        parent = need_endpoint(now.tx, workspace, endpoint)
        row = need_deployment(now.tx, workspace, endpoint, deployment)
        free(now.tx, parent)
        kept = revisions_of(now.tx, row, (PREVIOUS,))
        if not kept:
            raise Refused(
                "NotSupported", f"deployment {deployment} keeps no earlier revision", "Roll out the earlier model anew."
            )
        old = now.tx.update(kept[-1].model_copy(update={"phase": CANDIDATE}))
        status = {**row.status, "candidate": old.name, "reason": "", "code": "", "traceback": ""}
        document = old.status["document"]
        now.tx.update(row.model_copy(update={"spec": document, "status": status, "phase": UPDATING}))
        order = plan(str(row.status["serving"]), old.name).model_copy(update={"deployment": deployment})
        now.record(
            caller, workspace, "deployment.update", f"deployment:{row.name}", {"revision": old.name, "back": True}
        )
        begun = {"kind": "deploy", "deployment": deployment, "revision": old.name, "rollout": order.rollout}
        begin(deps, now, parent, begun, rollout=order.model_dump(mode="json"), rollout_status=None)
        return old.name

    return changed(deps, work)


def straight(champion: str | None, candidate: str) -> RolloutOrder:
    """No steps: the new revision takes over as soon as it is ready."""
    return RolloutOrder(
        rollout=f"deploy-{candidate}", deployment="", champion=champion, candidate=candidate,
        ready_timeout_s=BUDGET_S, keep_previous_s=0,
    )  # fmt: skip


def show(deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str) -> Json:
    """One deployment with the revision that serves and the one on its way."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        parent = need_endpoint(tx, workspace, endpoint)
        return view(tx, parent, need_deployment(tx, workspace, endpoint, name))


def list_deployments(deps: Deps, caller: Caller, workspace: str, endpoint: str) -> list[Json]:
    """All of an endpoint."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        parent = need_endpoint(tx, workspace, endpoint)
        return [view(tx, parent, row) for row in deployments_of(tx, parent)]


def delete(deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str) -> None:
    """Take it down; refused while it has traffic."""
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> None:
        parent = need_endpoint(now.tx, workspace, endpoint)
        row = need_deployment(now.tx, workspace, endpoint, name)
        refuse_traffic(parent, name)
        free(now.tx, parent)
        now.tx.update(row.model_copy(update={"phase": DELETING}))
        spec = {**parent.spec, **{f: without(parent.spec.get(f), name) for f in ("traffic", "mirror_traffic")}}
        now.record(caller, workspace, "deployment.delete", f"deployment:{endpoint}/{name}")
        begin(deps, now, parent.model_copy(update={"spec": spec}), {"kind": "delete", "deployment": name})

    changed(deps, work)


def refuse_traffic(endpoint: Row, name: str) -> None:
    """Raise Conflict `InUse` while the deployment is asked."""
    for field in ("traffic", "mirror_traffic"):
        share = (endpoint.spec.get(field) or {}).get(name, 0)
        if share:
            option = field.replace("_", "-")
            raise Conflict(
                "InUse", f"deployment {name} has {share} percent of the {field.replace('_', ' ')}",
                f"Set it to 0 first: ferry online-endpoint update -n {endpoint.name} --{option} {name}=0.",
            )  # fmt: skip


def view(tx: Tx, endpoint: Row, row: Row) -> Json:
    """A deployment as `az ml` shows it."""
    name = short(row)
    seen: dict[str, Any] = endpoint.status.get("seen") or {}
    mine = [one for one in seen.get("revisions", []) if one["deployment"] == name]
    revisions = {
        one.name: {
            "phase": one.phase, "model": one.spec.get("model_name", ""), "created_by": one.created_by,
            "created_at": one.created_at.isoformat() if one.created_at else None,
            "reason": one.status.get("reason", ""), "code": one.status.get("code", ""),
        }
        for one in revisions_of(tx, row, ())[-20:]
    }  # fmt: skip
    ours = {
        "serving": row.status.get("serving", ""), "candidate": row.status.get("candidate", ""), "revisions": revisions,
        "instances": {one["revision"]: {"ready": one["ready"], "wanted": one["wanted"]} for one in mine},
        "reason": row.status.get("reason") or _waiting(mine, row), "code": row.status.get("code", ""),
        "traceback": row.status.get("traceback", ""), "notes": row.status.get("notes", []),
        "site": endpoint.status["site"],
    }  # fmt: skip
    made = shown(row, ours, endpoint_name=endpoint.name, traffic=(endpoint.spec.get("traffic") or {}).get(name, 0))
    return {**made, "name": name, "id": identity(row.model_copy(update={"name": name}))}


def _waiting(seen: list[dict[str, Any]], row: Row) -> str:
    candidate = row.status.get("candidate")
    return next((str(one["reason"]) for one in seen if one["revision"] == candidate and one["reason"]), "")


def _renew(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, spec: OnlineDeployment, marks: Mapping[str, Json] = {}
) -> None:  # fmt: skip
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        need_endpoint(tx, workspace, endpoint)
        row = need_deployment(tx, workspace, endpoint, spec.name)
    new = spec.model_dump(mode="json")
    fields = {key for key in new.keys() | row.spec.keys() if new.get(key) != row.spec.get(key)}
    if fields - WORDS - ELASTIC or not row.status.get("serving") or _is_read_at_start(row, spec):
        roll(deps, caller, workspace, endpoint, spec, straight, marks)
    else:
        made = row.model_copy(update={"spec": new, "status": dict(marks)})
        changed(deps, lambda now: _adjust(deps, now, caller, made, fields))


def _is_read_at_start(row: Row, spec: OnlineDeployment) -> bool:
    before = row.spec.get("data_collector")
    return wants_new_revision(DataCollector.model_validate(before) if before else None, spec.data_collector)


def _adjust(deps: Deps, now: Turn, caller: Caller, made: Row, fields: set[str]) -> None:
    workspace, endpoint, name = made.workspace, made.parent, short(made)
    parent = need_endpoint(now.tx, workspace, endpoint)
    row = need_deployment(now.tx, workspace, endpoint, name)
    spec = parsed(OnlineDeployment, made.spec)
    now.record(caller, workspace, "deployment.update", f"deployment:{endpoint}/{name}", {"fields": sorted(fields)})
    row = now.tx.update(row.model_copy(update={"spec": made.spec, "status": {**row.status, **made.status}}))
    if not fields and row.phase == FAILED:  # another revision failed, and what is asked for now is what serves
        status = {**row.status, "reason": "", "code": "", "traceback": ""}
        now.tx.update(row.model_copy(update={"phase": SUCCEEDED, "status": status}))
    if not fields & ELASTIC:
        return
    free(now.tx, parent)
    for one in revisions_of(now.tx, row):
        if one.name == row.status["serving"]:
            taken = deployment_orders.adjusted(one.spec, spec)
            kept = {**one.status, "document": row.spec}
            now.tx.update(one.model_copy(update={"spec": taken, "status": kept}))
    now.tx.update(row.model_copy(update={"phase": UPDATING}))
    begin(deps, now, parent, {"kind": "scale", "deployment": name, "revision": row.status["serving"]})


def _begin(deps: Deps, now: Turn, caller: Caller, change: Change) -> None:
    workspace, endpoint, spec, resolved = change.workspace, change.endpoint, change.spec, change.resolved
    operation = change.operation
    parent = need_endpoint(now.tx, workspace, endpoint)
    free(now.tx, parent)
    key, revision = deployment_key(endpoint, spec.name), resolved.revision
    row = now.tx.get("deployment", workspace, key)
    if row is not None and operation.get("create"):
        raise exists(endpoint, spec.name)
    status = {
        "serving": "",
        **(row.status if row else {}),
        "candidate": revision.revision,
        "notes": list(resolved.notes),
    }
    status |= {"reason": "", "code": "", "traceback": ""}
    status |= {key: operation[key] for key in ("version", "behind") if key in operation}
    fields = {"spec": spec.model_dump(mode="json"), "status": status, "phase": UPDATING if row else CREATING}
    if row is None:
        if len(deployments_of(now.tx, parent)) >= MAX_PER_ENDPOINT:
            raise Refused("LimitExceeded", f"an endpoint has at most {MAX_PER_ENDPOINT} deployments", "Delete one.")
        row = now.tx.insert(
            Row(kind="deployment", workspace=workspace, name=key, parent=endpoint, created_by=caller.name, **fields)
        )
    else:
        row = now.tx.update(row.model_copy(update=fields))
    now.tx.insert(
        Row(
            kind="revision",
            workspace=workspace,
            name=revision.revision,
            parent=key,
            phase=CANDIDATE,
            spec=revision.model_dump(mode="json"),
            created_by=caller.name,
            labels={"endpoint": endpoint},
            status={"document": fields["spec"]},
        )
    )
    for edge in resolved.edges:
        now.tx.link(edge)
    champion = str(row.status.get("serving") or "") or None
    order = change.plan(champion, revision.revision).model_copy(update={"deployment": spec.name})
    now.record(
        caller, workspace, "deployment.create" if champion is None else "deployment.update",
        f"deployment:{key}", {"revision": revision.revision, "model": revision.model_name, "rollout": order.rollout},
    )  # fmt: skip
    told = {"deployment": spec.name, "revision": revision.revision, "rollout": order.rollout}
    begun = {"kind": "deploy", **operation, **told}
    begin(deps, now, parent, begun, rollout=order.model_dump(mode="json"), rollout_status=None)


def read_spec(endpoint: str, document: Mapping[str, Any]) -> OnlineDeployment:
    """What a document asks for on this endpoint."""
    spec = parsed(OnlineDeployment, document)
    if spec.endpoint_name and spec.endpoint_name != endpoint:
        raise Refused("BadValue", f"the deployment says endpoint_name {spec.endpoint_name!r}, not {endpoint!r}")
    least, most = ENDPOINT_AND_DEPLOYMENT
    if not least <= len(endpoint) + len(spec.name) <= most:
        raise Refused("BadName", f"endpoint and deployment names must be {least} to {most} characters together")
    return spec.model_copy(update={"endpoint_name": endpoint})


def check_type(before: Row | None, spec: OnlineDeployment) -> None:
    if before is None or not before.status.get("serving"):
        return
    old, new = before.spec.get("instance_type") or "", spec.instance_type or ""
    if new != old:
        raise Refused(
            "NotSupported", f"instance_type of a deployment cannot change (it is {old or 'the default type'})",
            "Create another deployment with the new type, move the traffic, delete this one.",
        )  # fmt: skip


def exists(endpoint: str, name: str) -> Conflict:
    return Conflict(
        "AlreadyExists", f"endpoint {endpoint} has a deployment {name!r} already", "Update it, or delete it first."
    )  # fmt: skip


def without(shares: Mapping[str, int] | None, name: str) -> dict[str, int]:
    return {key: value for key, value in (shares or {}).items() if key != name}
