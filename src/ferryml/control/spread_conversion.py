"""An endpoint on one compute becomes one that may be on several: its rows are renamed, and its site notices nothing."""

from __future__ import annotations

from ferryml.control.context import Caller, Turn
from ferryml.control.ports import Row
from ferryml.control.serving_wishes import (
    DELETING,
    SPREAD,
    SUCCEEDED,
    deployment_key,
    deployments_of,
    free,
    revisions_of,
    short,
)
from ferryml.control.spread import MOVING
from ferryml.control.spreading import kept, member_name
from ferryml.domain.errors import Conflict


def convert(now: Turn, caller: Caller, row: Row) -> Row:
    """The endpoint's row as that of what is asked for; what it has on its compute is a row of its own from now on.

    Raises Conflict `OperationInProgress` while an operation or a rollout is under way on it.
    """
    free(now.tx, row)
    _no_rollout(now, row)
    member = now.tx.insert(
        Row(
            kind="endpoint", workspace=row.workspace, name=member_name(row.name, str(row.spec["compute"])),
            parent=row.name, phase=row.phase, spec=row.spec, status=row.status, labels=row.labels,
            created_by=row.created_by,
        )
    )  # fmt: skip
    turn = 0
    for deployment in deployments_of(now.tx, row):
        if deployment.phase != DELETING:
            turn += 1
            _move(now, deployment, member, turn)
    shared = ("keys", "key_hashes") if row.spec.get("keys", "shared") == "shared" else ()
    status = {**{key: row.status[key] for key in shared if key in row.status}, "turn": turn, "caller": kept(caller)}
    spec = {**row.spec, "compute": [row.spec["compute"]]}
    fields = {"spec": spec, "status": status, "phase": SUCCEEDED, "labels": dict([SPREAD])}
    return now.tx.update(row.model_copy(update=fields))


def _no_rollout(now: Turn, row: Row) -> None:
    for one in now.tx.find("rollout", workspace=row.workspace, phases=MOVING, archived="any"):
        named = one.spec.get("endpoints") or [one.spec["deployment"].get("endpoint_name")]
        if row.name in named:
            raise Conflict(
                "OperationInProgress", f"rollout {one.name} is under way on endpoint {row.name}", "Wait for it to end."
            )


def _move(now: Turn, deployment: Row, member: Row, version: int) -> None:
    """What serves, and its history, belong to the compute; what is asked for stays with the endpoint."""
    name = deployment_key(member.name, short(deployment))
    revisions = revisions_of(now.tx, deployment, ())
    now.tx.insert(
        Row(
            kind="deployment", workspace=deployment.workspace, name=name, parent=member.name, phase=deployment.phase,
            spec=deployment.spec, status={**deployment.status, "version": version}, created_by=deployment.created_by,
        )
    )  # fmt: skip
    for one in revisions:
        now.tx.update(one.model_copy(update={"parent": name}))
        # predictions are traced by where their revision is now
        for edge in now.tx.edges(one.workspace, target=f"deployment:{deployment.name}:{one.name}"):
            now.tx.link(edge.model_copy(update={"target": f"deployment:{name}:{one.name}"}))
    now.tx.update(deployment.model_copy(update={"status": {"version": version}, "phase": SUCCEEDED}))
