"""Finding rows, and showing them: spec fields on top, what the server knows beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ferryml.control.ports import Json, Kind, Row, Tx
from ferryml.domain.errors import NotFound
from ferryml.domain.parse import parse

S = TypeVar("S")

PLURALS: dict[Kind, str] = {
    "workspace": "workspaces", "site": "sites", "compute": "computes", "datastore": "datastores", "data": "datas",
    "model": "models", "environment": "environments", "code": "codes", "component": "components", "job": "jobs",
    "endpoint": "online-endpoints", "deployment": "deployments", "rollout": "rollouts", "automation": "automations",
    "token": "tokens", "webhook": "webhooks",
}  # fmt: skip
SEEN_BY: Mapping[str, str] = {
    "endpoint": "ferry online-endpoint list", "deployment": "ferry online-deployment list -e ENDPOINT",
    "code": "ferry lineage show", "revision": "ferry online-deployment list -e ENDPOINT",
    "automation_run": "ferry automation history -n NAME",
}  # fmt: skip
"""What to type to see which there are, where it is not `ferry KIND list`."""
VERSIONED: tuple[Kind, ...] = ("data", "model", "environment", "code", "component")


def parsed(kind: type[S], document: object) -> S:
    """The spec that a posted document is; raises Refused naming each fault."""
    spec: S = parse(kind, document).spec
    return spec


def need(tx: Tx, kind: Kind, workspace: str, name: str, version: str = "") -> Row:
    """The row, or NotFound naming it."""
    row = tx.get(kind, workspace, name, version)
    if row is None:
        raise missing(kind, workspace, name, version)
    return row


def need_workspace(tx: Tx, workspace: str) -> Row:
    """The workspace's row, or NotFound; a deleted one does not exist."""
    row = need(tx, "workspace", "", workspace)
    if row.archived:
        raise missing("workspace", "", workspace)
    return row


def missing(kind: Kind, workspace: str, name: str, version: str = "") -> NotFound:
    """There is no such thing, in words."""
    called = f"{name}{version}" if version.startswith("@") else f"{name}:{version}" if version else name
    place = f" in workspace {workspace}" if workspace else ""
    code: Any = "ComputeNotFound" if kind == "compute" else "NotFound"
    look = SEEN_BY.get(kind, f"ferry {kind} list")
    return NotFound(code, f"there is no {kind} {called!r}{place}", f"See `{look}`.", {"kind": kind})


def page(rows: Sequence[Row], limit: int, shown: Sequence[Json]) -> dict[str, Json]:
    """A list as it is answered; `next` goes on where it ended."""
    return {"items": list(shown), "next": rows[-1].seq if rows and len(rows) >= limit else None}


def identity(row: Row) -> str:
    """The resource's path below /api/v1."""
    plural = PLURALS.get(row.kind, row.kind)
    place = f"/workspaces/{row.workspace}" if row.workspace else ""
    if row.kind == "deployment":
        place += f"/online-endpoints/{row.parent}"
    return f"{place}/{plural}/{row.name}" + (f"/versions/{row.version}" if row.version else "")


def shown(row: Row, ours: Mapping[str, Json] | None = None, **extra: Json) -> dict[str, Json]:
    """A resource as `az ml` shows it; `ours` goes below the key `ferry`."""
    made = {**row.spec, "id": identity(row), "name": row.name}
    if row.version:
        made["version"] = row.version
    if row.kind not in ("job", "token"):
        made["provisioning_state"] = row.phase or "Succeeded"
    made["creation_context"] = {
        "created_at": row.created_at.isoformat() if row.created_at else None,
        "created_by": row.created_by,
        "created_by_type": "User",
        "last_modified_at": row.updated_at.isoformat() if row.updated_at else None,
    }
    made["archived"] = row.archived
    made["ferry"] = {"labels": row.labels, "etag": row.etag, "seq": row.seq, **(ours or {})}
    return {**made, **extra}
