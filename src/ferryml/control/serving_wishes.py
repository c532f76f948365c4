"""The rows of an endpoint, and the one wish that is made of them: a site never sees half of a change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from ferryml.control import grants, token_keys
from ferryml.control.context import Deps, Turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import missing, need_workspace
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.orders import EndpointOrder, RevisionOrder, RolloutOrder
from ferryml.domain.spec.values import compute_name

CREATING, UPDATING, SUCCEEDED, FAILED, DELETING = "Creating", "Updating", "Succeeded", "Failed", "Deleting"
CANDIDATE, SERVING, PREVIOUS, DROPPED = "Candidate", "Serving", "Previous", "Dropped"
"""Phases of a revision: on its way, in effect, kept for a while, and history. FAILED is one as well."""
RUNNING = (CANDIDATE, SERVING, PREVIOUS)
"""Revisions that the site shall have."""
Command = Literal["run", "pause", "promote", "rollback"]
SPREAD = ("spread", "yes")
"""Label of an endpoint on several computes. Its row says what was asked; what is on a compute has a row of its own,
`ENDPOINT@COMPUTE` with the endpoint as parent, which all of the below sees as an endpoint like any other."""
BUDGET_S = 1200.0
"""What is not there after 20 minutes has failed."""


def deployment_key(endpoint: str, deployment: str) -> str:
    """Name of a deployment's row: unique in the workspace."""
    return f"{endpoint}/{deployment}"


def spread(endpoint: Row) -> bool:
    """Whether it is on several computes, and so has no site of its own."""
    return endpoint.labels.get(SPREAD[0]) == SPREAD[1]


def called(endpoint: Row) -> str:
    """What people and sites call it."""
    return endpoint.parent or endpoint.name


def members_of(tx: Tx, endpoint: Row) -> list[Row]:
    """What an endpoint on several computes has on each."""
    return tx.find("endpoint", workspace=endpoint.workspace, parent=endpoint.name)


def parts_of(tx: Tx, endpoint: Row, compute: str = "") -> list[Row]:
    """What it has on each of its computes, in the order of its spec; with `compute` there alone.

    Of an endpoint on one compute that is itself. Raises Refused `BadReference` for a compute that it is not on.
    """
    found = members_of(tx, endpoint) if spread(endpoint) else [endpoint]
    listed = list(endpoint.spec["compute"]) if spread(endpoint) else []
    found.sort(key=lambda one: listed.index(one.spec["compute"]) if one.spec["compute"] in listed else len(listed))
    wanted = str(compute_name(compute))
    if wanted and wanted not in (names := [str(one.spec["compute"]) for one in found]):
        raise Refused(
            "BadReference", f"endpoint {called(endpoint)} is not on compute {wanted[:64]!r}",
            f"It is on: {', '.join(names) or 'none'}.",
        )  # fmt: skip
    return [one for one in found if not wanted or one.spec["compute"] == wanted]


def endpoint_at(tx: Tx, site: str, workspace: str, name: str) -> Row | None:
    """What this site means by the endpoint."""
    row = tx.get("endpoint", workspace, name)
    if row is None or not spread(row):
        return row
    return next((one for one in members_of(tx, row) if one.status["site"] == site), None)


def need_endpoint(tx: Tx, workspace: str, name: str) -> Row:
    """The endpoint's row, or NotFound."""
    need_workspace(tx, workspace)
    row = tx.get("endpoint", workspace, name)
    if row is None:
        raise missing("endpoint", workspace, name)
    return row


def need_deployment(tx: Tx, workspace: str, endpoint: str, name: str) -> Row:
    """The deployment's row, or NotFound."""
    row = tx.get("deployment", workspace, deployment_key(endpoint, name))
    if row is None:
        raise missing("deployment", workspace, deployment_key(endpoint, name))
    return row


def deployments_of(tx: Tx, endpoint: Row) -> list[Row]:
    """Rows of all deployments of an endpoint."""
    return tx.find("deployment", workspace=endpoint.workspace, parent=endpoint.name)


def revisions_of(tx: Tx, deployment: Row, phases: tuple[str, ...] = RUNNING) -> list[Row]:
    """Rows of a deployment's revisions, oldest first; `phases` empty: all of them."""
    return tx.find("revision", workspace=deployment.workspace, parent=deployment.name, phases=phases, archived="any")


def endpoint_order(tx: Tx, endpoint: Row) -> EndpointOrder:
    """The wish of an endpoint, from its rows and nothing else."""
    serving: dict[str, str] = {}
    revisions: list[RevisionOrder] = []
    for row in deployments_of(tx, endpoint):
        if row.phase == DELETING:
            continue
        name = short(row)
        if row.status.get("serving"):
            serving[name] = str(row.status["serving"])
        revisions += [RevisionOrder.model_validate(one.spec) for one in revisions_of(tx, row)]
    rollout = endpoint.status.get("rollout")
    tokens = endpoint.spec["auth_mode"] == "aml_token"
    return EndpointOrder(
        workspace=endpoint.workspace, name=called(endpoint), compute=str(endpoint.spec["compute"]),
        namespace=str(endpoint.status.get("namespace") or "default"),
        auth_mode=endpoint.spec["auth_mode"],
        key_hashes=tuple((endpoint.status.get("key_hashes") or {}).values()),
        token_public_key=token_keys.public_keys(tx, endpoint.workspace) if tokens else "",
        traffic=dict(endpoint.spec.get("traffic") or {}),
        mirror_traffic=dict(endpoint.spec.get("mirror_traffic") or {}),
        serving=serving, revisions=tuple(revisions),
        rollout=RolloutOrder.model_validate(rollout) if rollout else None,
        labels={"workspace": endpoint.workspace, "compute": str(endpoint.spec["compute"])},
    )  # fmt: skip


def send(deps: Deps, now: Turn, endpoint: Row) -> int:
    """Tell the site what the endpoint shall be; the wish's generation. Call it after all rows were written."""
    site, uid = str(endpoint.status["site"]), str(endpoint.status["uid"])
    order = endpoint_order(now.tx, endpoint)
    wish = now.tx.put_wish(site, uid, order.model_dump(mode="json"), grants.signer(deps, site, order))
    now.wake(f"site:{site}")
    return wish.generation


def begin(deps: Deps, now: Turn, endpoint: Row, operation: Mapping[str, Json], **status: Any) -> Row:
    """Begin an operation: one at a time on each endpoint, everything else gets 409. Sends the wish.

    `operation` has `kind` and what its end must know; `status` replaces keys of the endpoint's status.
    """
    free(now.tx, endpoint)
    begun = {**operation, "since": now.tx.now().isoformat()}
    row = now.tx.update(
        endpoint.model_copy(update={"status": {**endpoint.status, **status, "operation": begun}})
    )  # fmt: skip
    return with_generation(now, row, send(deps, now, row))


def command(deps: Deps, now: Turn, endpoint: Row, word: Command) -> Row:
    """What people want of the rollout under way; raises Refused `NotRunning` when there is none."""
    order = endpoint.status.get("rollout")
    if not order:
        raise Refused("NotRunning", f"no rollout is under way on endpoint {endpoint.name}")
    status = {**endpoint.status, "rollout": {**order, "command": word}}
    row = now.tx.update(endpoint.model_copy(update={"status": status}))
    send(deps, now, row)
    return row


def with_generation(now: Turn, endpoint: Row, generation: int) -> Row:
    """Remember with which wish the operation was sent; an older report does not end it."""
    operation = {**endpoint.status["operation"], "generation": generation}
    return now.tx.update(endpoint.model_copy(update={"status": {**endpoint.status, "operation": operation}}))


def free(tx: Tx, endpoint: Row) -> None:
    """Raise Conflict `OperationInProgress` while an operation runs."""
    operation = endpoint.status.get("operation")
    if endpoint.phase == DELETING or operation:
        what = "it is being deleted" if endpoint.phase == DELETING else described(operation or {})
        raise Conflict(
            "OperationInProgress", f"an operation on endpoint {endpoint.name} is under way: {what}",
            "Wait for it to end; a rollout can be promoted or rolled back.",
        )  # fmt: skip


def late(tx: Tx, operation: Mapping[str, Json]) -> bool:
    """Whether an operation has used up its budget."""
    since = str(operation.get("since", ""))
    return since < (tx.now() - timedelta(seconds=BUDGET_S)).isoformat()


def described(operation: Mapping[str, Json]) -> str:
    """An operation in words."""
    deployment = operation.get("deployment")
    words = f"{operation.get('kind', 'update')}" + (f" of deployment {deployment}" if deployment else "")
    return f"rollout {operation['rollout']} of deployment {deployment}" if operation.get("kind") == "rollout" else words


def short(deployment: Row) -> str:
    """A deployment's own name."""
    return deployment.name.partition("/")[2]
