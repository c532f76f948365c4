"""What people ask of deployments: on several computes it is asked for once, and brought to each by the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.control import deployment_orders, deployments
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.deployment_orders import pinned
from ferryml.control.deployments import (
    MAX_PER_ENDPOINT,
    WORDS,
    changed_spec,
    exists,
    read_spec,
    refuse_traffic,
    without,
)
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.serving_wishes import (
    DELETING,
    SUCCEEDED,
    deployment_key,
    deployments_of,
    need_deployment,
    need_endpoint,
    spread,
)
from ferryml.control.spread import deployment_view, free, look, refuse_one_folder
from ferryml.control.spreading import kept
from ferryml.domain.errors import Refused
from ferryml.domain.spec.deployment import OnlineDeployment


def create(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, document: Mapping[str, Any], all_traffic: bool = False
) -> Json:
    """A new deployment, everywhere or nowhere: every compute is asked whether it may have it before one does."""
    if not _spread(deps, caller, workspace, endpoint):
        return deployments.create(deps, caller, workspace, endpoint, document, all_traffic)
    spec = read_spec(endpoint, document)
    marks = {"all_traffic": True} if all_traffic else {}
    return _write(deps, caller, workspace, endpoint, _resolved(deps, workspace, endpoint, spec), marks, create=True)


def put(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str, document: Mapping[str, Any],
    all_traffic: bool = False,
) -> Json:  # fmt: skip
    """Create it, or replace its spec as a whole."""
    if not _spread(deps, caller, workspace, endpoint):
        return deployments.put(deps, caller, workspace, endpoint, name, document, all_traffic)
    spec = read_spec(endpoint, {**document, "name": document.get("name", name)})
    if spec.name != name:
        raise Refused("BadValue", f"the document is of deployment {spec.name!r}, not {name!r}")
    with deps.store.read() as tx:
        there = tx.get("deployment", workspace, deployment_key(endpoint, name)) is not None
    if not there:
        return create(deps, caller, workspace, endpoint, document, all_traffic)
    return _renew(deps, caller, workspace, endpoint, spec)


def update(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str, changes: Mapping[str, Any]
) -> Json:  # fmt: skip
    """Change some fields of its spec."""
    if not _spread(deps, caller, workspace, endpoint):
        return deployments.update(deps, caller, workspace, endpoint, name, changes)
    with deps.store.read() as tx:
        row = need_deployment(tx, workspace, endpoint, name)
    if changes.get("name", name) != name:
        raise Refused("NotSupported", "the name of a deployment cannot change", "Create another one.")
    return _renew(deps, caller, workspace, endpoint, changed_spec(row, endpoint, changes))


def show(deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str) -> Json:
    """One deployment, with a status for each compute where its endpoint is on several."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        return _view(tx, need_endpoint(tx, workspace, endpoint), need_deployment(tx, workspace, endpoint, name))


def list_deployments(deps: Deps, caller: Caller, workspace: str, endpoint: str) -> list[Json]:
    """All of an endpoint."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        parent = need_endpoint(tx, workspace, endpoint)
        return [_view(tx, parent, row) for row in deployments_of(tx, parent)]


def delete(deps: Deps, caller: Caller, workspace: str, endpoint: str, name: str) -> None:
    """Take it down everywhere; refused while it has traffic. A site that is offline does so when it returns."""
    if not _spread(deps, caller, workspace, endpoint):
        return deployments.delete(deps, caller, workspace, endpoint, name)

    def work(now: Turn) -> None:
        parent = need_endpoint(now.tx, workspace, endpoint)
        row = need_deployment(now.tx, workspace, endpoint, name)
        refuse_traffic(parent, name)
        free(look(now.tx, parent))
        now.tx.update(row.model_copy(update={"phase": DELETING}))
        shares = {field: without(parent.spec.get(field), name) for field in ("traffic", "mirror_traffic")}
        status = {**parent.status, "caller": kept(caller)}
        now.tx.update(parent.model_copy(update={"spec": {**parent.spec, **shares}, "status": status}))
        now.record(caller, workspace, "deployment.delete", f"deployment:{endpoint}/{name}")
        now.wake("loops")

    return changed(deps, work)


def adopt(now: Turn, endpoint: Row, spec: OnlineDeployment, created_by: str, behind: Mapping[str, str]) -> None:
    """What a rollout has brought to the computes is what is asked for from now on.

    `behind`: compute -> why it was left out; it keeps what it serves until somebody asks for something newer.
    """
    turn = int(endpoint.status["turn"]) + 1
    before = now.tx.get("deployment", endpoint.workspace, deployment_key(endpoint.name, spec.name))
    row = _row(before, endpoint, spec, turn, {}, created_by)
    now.tx.update(row) if before else now.tx.insert(row)
    seen = look(now.tx, endpoint)
    for compute, theirs in seen.theirs.items():
        if spec.name in theirs:
            mine = theirs[spec.name]
            told = {**mine.status, "version": turn, "behind": behind.get(compute, "")}
            now.tx.update(mine.model_copy(update={"status": told}))
    idle = not any((endpoint.spec.get("traffic") or {}).values())
    traffic = {"traffic": {spec.name: 100}} if idle else {}
    status = {**endpoint.status, "turn": turn}
    now.tx.update(endpoint.model_copy(update={"spec": {**endpoint.spec, **traffic}, "status": status}))
    now.wake("loops")


def _spread(deps: Deps, caller: Caller, workspace: str, endpoint: str) -> bool:
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        row = tx.get("endpoint", workspace, endpoint)
    return row is not None and spread(row)


def _view(tx: Tx, endpoint: Row, row: Row) -> Json:
    return deployment_view(tx, endpoint, row) if spread(endpoint) else deployments.view(tx, endpoint, row)


def _renew(deps: Deps, caller: Caller, workspace: str, endpoint: str, spec: OnlineDeployment) -> Json:
    with deps.store.read() as tx:
        row = need_deployment(tx, workspace, endpoint, spec.name)
    new = spec.model_dump(mode="json")
    deployments.check_type(row.model_copy(update={"status": {"serving": "somewhere"}}), spec)
    fields = {key for key in new.keys() | row.spec.keys() if new.get(key) != row.spec.get(key)}
    if fields and not fields - WORDS:
        return _write(deps, caller, workspace, endpoint, spec, None)
    return _write(deps, caller, workspace, endpoint, _resolved(deps, workspace, endpoint, spec), {})


def _resolved(deps: Deps, workspace: str, endpoint: str, spec: OnlineDeployment) -> OnlineDeployment:
    """The spec with its references pinned, once every compute of the endpoint has been asked whether it may serve it.

    So a site that takes it a week later takes the same model. Raises Refused with the compute that may not, and why.
    """
    with deps.store.read() as tx:
        computes = list(need_endpoint(tx, workspace, endpoint).spec["compute"])
    refuse_one_folder(spec, computes)
    resolved = [deployment_orders.resolve(deps, workspace, endpoint, compute, spec) for compute in computes]
    return pinned(spec, resolved[0].revision)


def _write(
    deps: Deps, caller: Caller, workspace: str, endpoint: str, spec: OnlineDeployment,
    marks: Mapping[str, Json] | None, create: bool = False,
) -> Json:  # fmt: skip
    """Write down what is asked for, as a new version unless `marks` is None: then only words changed."""

    def work(now: Turn) -> Json:
        parent = need_endpoint(now.tx, workspace, endpoint)
        before = now.tx.get("deployment", workspace, deployment_key(endpoint, spec.name))
        if before is not None and create:
            raise exists(endpoint, spec.name)
        verb = "deployment.update" if before else "deployment.create"
        now.record(caller, workspace, verb, f"deployment:{endpoint}/{spec.name}")
        if marks is None and before is not None:
            words = before.model_copy(update={"spec": spec.model_dump(mode="json")})
            return deployment_view(now.tx, parent, now.tx.update(words))
        free(look(now.tx, parent))
        if len(deployments_of(now.tx, parent)) >= MAX_PER_ENDPOINT and before is None:
            raise Refused("LimitExceeded", f"an endpoint has at most {MAX_PER_ENDPOINT} deployments", "Delete one.")
        turn = int(parent.status["turn"]) + 1
        status = {**parent.status, "turn": turn, "caller": kept(caller)}
        parent = now.tx.update(parent.model_copy(update={"status": status}))
        row = _row(before, parent, spec, turn, marks or {}, caller.name)
        now.wake("loops")
        return deployment_view(now.tx, parent, now.tx.update(row) if before else now.tx.insert(row))

    return changed(deps, work)


def _row(
    before: Row | None, endpoint: Row, spec: OnlineDeployment, version: int, marks: Mapping[str, Json], by: str
) -> Row:  # fmt: skip
    fields = {"spec": spec.model_dump(mode="json"), "status": {"version": version, **marks}, "phase": SUCCEEDED}
    if before is not None:
        return before.model_copy(update=fields)
    key = deployment_key(endpoint.name, spec.name)
    made = Row(kind="deployment", workspace=endpoint.workspace, name=key, parent=endpoint.name, created_by=by)
    return made.model_copy(update=fields)
