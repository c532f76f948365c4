"""/lineage, /trace, /events, /audit: where things come from and what happened."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from ferryml.control import history, lineage
from ferryml.control.ports import Json
from ferryml.server.auth import After, Limit, Name, Needed, Person, Text, Wait, span

router = APIRouter(prefix="/workspaces/{workspace}", tags=["lineage"])
server_wide = APIRouter(tags=["lineage"])
RequestId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,100}$")]


@router.get("/lineage")
def show_lineage(
    asked: Person, workspace: Name, node: Needed, direction: Literal["up", "down"] = "up"
) -> dict[str, Json]:
    """All that a thing was made from (`up`), or all that was made from it (`down`)."""
    return lineage.lineage(asked.deps, asked.caller, workspace, node, direction)


@router.get("/trace/{request_id}")
def trace(asked: Person, workspace: Name, request_id: RequestId) -> dict[str, Json]:
    """From a prediction to deployment, model, job, code and data."""
    return lineage.trace(asked.deps, asked.caller, workspace, request_id)


@router.get("/events")
def events(
    asked: Person, workspace: Name, after: After = 0, subject: Text = None, limit: Limit = None, wait: Wait = 0
) -> dict[str, Json]:
    """What happened, oldest first; `wait` seconds for something to happen."""
    return history.events(asked.deps, asked.caller, workspace, span(asked, after, limit), subject, wait)


@router.get("/audit")
def audit(asked: Person, workspace: Name, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """Who asked for what."""
    return history.audit(asked.deps, asked.caller, workspace, span(asked, after, limit))


@server_wide.get("/admin/audit")
def server_audit(asked: Person, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """The same for what belongs to no workspace: sites."""
    return history.audit(asked.deps, asked.caller, "", span(asked, after, limit))
