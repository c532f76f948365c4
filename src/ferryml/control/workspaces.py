"""Workspaces: made, shown, changed, and deleted only when nothing lives in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Kind, Row, Tx
from ferryml.control.rows import need_workspace, parsed, shown
from ferryml.domain.errors import Conflict
from ferryml.domain.spec.workspace import Aliases, Workspace

LIVING: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("endpoint", ()),
    ("automation", ()),
    ("compute", ()),
    (
        "job",
        ("NotStarted", "Starting", "Preparing", "Provisioning", "Queued", "Running", "Finalizing", "CancelRequested"),
    ),
)
"""What keeps a workspace from being deleted, with the phases that count (none: any)."""


def create(deps: Deps, caller: Caller, document: Mapping[str, Any]) -> dict[str, Json]:
    """A new workspace, its MLflow side made as well."""
    allow(caller, "server.write", "")
    spec = parsed(Workspace, document)
    deps.tracking.ensure_workspace(spec.name)
    with turn(deps) as now:
        row = now.tx.insert(
            Row(kind="workspace", name=spec.name, spec=spec.model_dump(mode="json"), created_by=caller.name)
        )
        now.record(caller, spec.name, "workspace.create", f"workspace:{spec.name}")
    return view(deps, row)


def ensure(deps: Deps, caller: Caller, name: str) -> None:
    """The workspace exists from now on; for the default one."""
    with deps.store.read() as tx:
        there = tx.get("workspace", "", name)
    if there is None:
        try:
            create(deps, caller, {"name": name})
        except Conflict:
            return


def show(deps: Deps, caller: Caller, name: str) -> dict[str, Json]:
    """One workspace."""
    allow(caller, "workspace.read", name)
    with deps.store.read() as tx:
        return view(deps, need_workspace(tx, name))


def list_workspaces(deps: Deps, caller: Caller) -> list[dict[str, Json]]:
    """Those that the caller may see."""
    with deps.store.read() as tx:
        return [view(deps, row) for row in tx.find("workspace") if caller.may("workspace.read", row.name)]


def update(deps: Deps, caller: Caller, name: str, changes: Mapping[str, Any]) -> dict[str, Json]:
    """Change fields; the name stays."""
    allow(caller, "workspace.write", name)

    def work(now: Turn) -> Row:
        row = need_workspace(now.tx, name)
        spec = parsed(Workspace, {**row.spec, **changes, "name": name})
        now.record(caller, name, "workspace.update", f"workspace:{name}", {"fields": sorted(changes)})
        return now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json")}))

    return view(deps, changed(deps, work))


def delete(deps: Deps, caller: Caller, name: str) -> None:
    """Close the workspace; refused while computes, endpoints, automations or running jobs are in it.

    Its history stays, so its name is never given again: nobody inherits what others made.
    """
    allow(caller, "server.write", "")
    with turn(deps) as now:
        row = need_workspace(now.tx, name)
        for kind, phases in LIVING:
            _refuse_living(now.tx, name, kind, phases)
        now.tx.update(row.model_copy(update={"archived": True, "phase": "Deleted"}))
        for token in now.tx.find("token", parent=name):
            now.tx.update(token.model_copy(update={"phase": "Revoked"}))
        now.record(caller, name, "workspace.delete", f"workspace:{name}")


def aliases(deps: Deps, caller: Caller, name: str) -> dict[str, Json]:
    """The workspace's own alias tables."""
    allow(caller, "workspace.read", name)
    with deps.store.read() as tx:
        return dict(need_workspace(tx, name).spec.get("aliases") or {})


def set_aliases(deps: Deps, caller: Caller, name: str, tables: Mapping[str, Any]) -> dict[str, Json]:
    """Replace the alias tables as a whole."""
    made = parsed(Aliases, tables).model_dump(mode="json")
    answer = update(deps, caller, name, {"aliases": made})
    return dict(answer["aliases"])


def view(deps: Deps, row: Row) -> dict[str, Json]:
    """A workspace as it is shown."""
    return shown(row, mlflow_tracking_uri=f"{public_url(deps)}/mlflow")


def public_url(deps: Deps) -> str:
    """The address that people and sites use."""
    settings = deps.settings
    scheme = "https" if settings.tls_cert else "http"
    return settings.public_url.rstrip("/") or f"{scheme}://{settings.host}:{settings.port}"


def _refuse_living(tx: Tx, workspace: str, kind: Kind, phases: tuple[str, ...]) -> None:
    rows = tx.find(kind, workspace=workspace, phases=phases, archived="any", limit=1)
    if rows:
        raise Conflict(
            "InUse",
            f"workspace {workspace} still has {kind} {rows[0].name}",
            "Delete or detach what lives in it first.",
        )


def of(tx: Tx, name: str) -> Workspace:
    """The workspace's spec."""
    return Workspace.model_validate(need_workspace(tx, name).spec)
