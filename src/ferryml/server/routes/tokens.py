"""Tokens of a workspace, and (workspace `*`, or /admin/tokens) of the whole server."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ferryml.control import tokens
from ferryml.control.ports import Json
from ferryml.domain.access import EVERYWHERE, Role
from ferryml.server.auth import MOST, Name, Person, clean_text

router = APIRouter(tags=["tokens"])
Anywhere = Annotated[str, Path(pattern=r"^(\*|[A-Za-z0-9_][A-Za-z0-9_.-]{0,254})$")]


class NewToken(BaseModel):
    """What a token is for."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(clean_text)]
    role: Role
    expires_in_s: Annotated[int, Field(ge=1, le=MOST)] | None = None
    """Seconds; none: the server's default."""


@router.post("/workspaces/{workspace}/tokens", status_code=201)
def create(asked: Person, workspace: Anywhere, wanted: NewToken) -> dict[str, Json]:
    """Make a token; its text is in this answer only."""
    return tokens.create(asked.deps, asked.caller, workspace, wanted.name, wanted.role, wanted.expires_in_s)


@router.get("/workspaces/{workspace}/tokens")
def list_all(asked: Person, workspace: Anywhere) -> dict[str, Json]:
    """All tokens of the workspace, without their texts."""
    return {"items": tokens.list_tokens(asked.deps, asked.caller, workspace), "next": None}


@router.delete("/workspaces/{workspace}/tokens/{ident}", status_code=204)
def revoke(asked: Person, workspace: Anywhere, ident: Name) -> Response:
    """Revoke a token."""
    tokens.revoke(asked.deps, asked.caller, workspace, ident)
    return Response(status_code=204)


@router.post("/admin/tokens", status_code=201)
def create_everywhere(asked: Person, wanted: NewToken) -> dict[str, Json]:
    """Make a token for all workspaces."""
    return tokens.create(asked.deps, asked.caller, EVERYWHERE, wanted.name, wanted.role, wanted.expires_in_s)
