"""/computes and /datastores of a workspace."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ferryml.control import computes, datastores, detaching
from ferryml.control.ports import Json
from ferryml.server.auth import Document, Name, Person

router = APIRouter(prefix="/workspaces/{workspace}", tags=["computes"])


@router.post("/computes", status_code=201)
def attach(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Attach a site as a compute."""
    return dict(computes.attach(asked.deps, asked.caller, workspace, document))


@router.get("/computes")
def list_computes(asked: Person, workspace: Name) -> dict[str, Json]:
    """All computes."""
    return {"items": computes.list_computes(asked.deps, asked.caller, workspace), "next": None}


@router.get("/computes/{name}")
def show_compute(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One compute with its instance types."""
    return dict(computes.show(asked.deps, asked.caller, workspace, name))


@router.patch("/computes/{name}")
def update_compute(asked: Person, workspace: Name, name: Name, changes: Document) -> dict[str, Json]:
    """Change description, tags, location or identity."""
    return dict(computes.update(asked.deps, asked.caller, workspace, name, changes))


@router.delete("/computes/{name}", status_code=204)
def detach(asked: Person, workspace: Name, name: Name, running: detaching.Running = "refuse") -> Response:
    """Detach a compute; `running` says what becomes of work that still runs there."""
    detaching.detach(asked.deps, asked.caller, workspace, name, running)
    return Response(status_code=204)


@router.post("/datastores", status_code=201)
def create_datastore(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Name a place for data."""
    return dict(datastores.create(asked.deps, asked.caller, workspace, document))


@router.get("/datastores")
def list_datastores(asked: Person, workspace: Name) -> dict[str, Json]:
    """All datastores."""
    return {"items": datastores.list_datastores(asked.deps, asked.caller, workspace), "next": None}


@router.get("/datastores/{name}")
def show_datastore(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One datastore."""
    return dict(datastores.show(asked.deps, asked.caller, workspace, name))


@router.patch("/datastores/{name}")
def update_datastore(asked: Person, workspace: Name, name: Name, changes: Document) -> dict[str, Json]:
    """Change a datastore."""
    return dict(datastores.update(asked.deps, asked.caller, workspace, name, changes))


@router.delete("/datastores/{name}", status_code=204)
def delete_datastore(asked: Person, workspace: Name, name: Name) -> Response:
    """Forget a datastore; its data stays."""
    datastores.delete(asked.deps, asked.caller, workspace, name)
    return Response(status_code=204)
