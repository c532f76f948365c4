"""/workspaces, and each one's aliases."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from ferryml.control import credentials, workspaces
from ferryml.control.ports import Json
from ferryml.server.auth import Document, Name, Person

router = APIRouter(tags=["workspaces"])


class Rotation(BaseModel):
    """How the signing key changes."""

    model_config = ConfigDict(extra="forbid")
    revoke: bool = False


@router.post("/workspaces", status_code=201)
def create(asked: Person, document: Document) -> dict[str, Json]:
    """Make a workspace (owner of all workspaces)."""
    return workspaces.create(asked.deps, asked.caller, document)


@router.get("/workspaces")
def list_all(asked: Person) -> dict[str, Json]:
    """Workspaces that the caller may see."""
    return {"items": workspaces.list_workspaces(asked.deps, asked.caller), "next": None}


@router.get("/workspaces/{workspace}")
def show(asked: Person, workspace: Name) -> dict[str, Json]:
    """One workspace."""
    return workspaces.show(asked.deps, asked.caller, workspace)


@router.patch("/workspaces/{workspace}")
def update(asked: Person, workspace: Name, changes: Document) -> dict[str, Json]:
    """Change fields of a workspace."""
    return workspaces.update(asked.deps, asked.caller, workspace, changes)


@router.delete("/workspaces/{workspace}", status_code=204)
def delete(asked: Person, workspace: Name) -> Response:
    """Close a workspace; refused while something lives in it."""
    workspaces.delete(asked.deps, asked.caller, workspace)
    return Response(status_code=204)


@router.post("/workspaces/{workspace}/endpoint-tokens/rotate")
def rotate_token_key(asked: Person, workspace: Name, how: Rotation) -> dict[str, Json]:
    """Sign tokens of endpoints with a new key; the old one opens until its tokens have expired, unless revoked."""
    return dict(credentials.rotate(asked.deps, asked.caller, workspace, how.revoke))


@router.get("/workspaces/{workspace}/aliases")
def aliases(asked: Person, workspace: Name) -> dict[str, Json]:
    """Names of elsewhere, and what they mean here."""
    return workspaces.aliases(asked.deps, asked.caller, workspace)


@router.put("/workspaces/{workspace}/aliases")
def set_aliases(asked: Person, workspace: Name, tables: Document) -> dict[str, Json]:
    """Replace the alias tables."""
    return workspaces.set_aliases(asked.deps, asked.caller, workspace, tables)
