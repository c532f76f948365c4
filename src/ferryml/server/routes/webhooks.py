"""/webhooks: made, shown, changed, tried out, their secrets replaced."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import webhooks
from ferryml.control.ports import Json
from ferryml.server.auth import After, Document, Limit, Name, Person, span

router = APIRouter(prefix="/workspaces/{workspace}/webhooks", tags=["webhooks"])


class NewSecret(BaseModel):
    """How a secret is replaced: by `secret`, or by one that is made; with `revoke` the old one ends at once."""

    model_config = ConfigDict(extra="forbid")
    secret: Annotated[str | None, Field(max_length=200, json_schema_extra={"writeOnly": True})] = None
    revoke: bool = False


@router.post("", status_code=201)
def create(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Make a webhook; without `secret` one is made, and is in this answer alone."""
    return dict(webhooks.create(asked.deps, asked.caller, workspace, document))


@router.get("")
def list_all(asked: Person, workspace: Name, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """All webhooks, newest first."""
    return webhooks.list_webhooks(asked.deps, asked.caller, workspace, *span(asked, after, limit))


@router.get("/{name}")
def show(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One webhook: how many events wait, whether its receiver fails, what was given up."""
    return dict(webhooks.show(asked.deps, asked.caller, workspace, name))


@router.patch("/{name}")
def update(asked: Person, workspace: Name, name: Name, changes: Document) -> dict[str, Json]:
    """Change url, description, tags or enabled."""
    return dict(webhooks.update(asked.deps, asked.caller, workspace, name, changes))


@router.delete("/{name}", status_code=204)
def delete(asked: Person, workspace: Name, name: Name) -> None:
    """Remove a webhook that no automation names."""
    webhooks.delete(asked.deps, asked.caller, workspace, name)


@router.post("/{name}/rotate-secret")
def rotate_secret(asked: Person, workspace: Name, name: Name, how: NewSecret | None = None) -> dict[str, Json]:
    """Sign with a new secret; the old one signs beside it for a day, unless revoked."""
    asked_for = how or NewSecret()
    return dict(webhooks.rotate(asked.deps, asked.caller, workspace, name, asked_for.secret, asked_for.revoke))


@router.post("/{name}/test")
def test(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Post a signed ping now, and say what became of it."""
    return dict(webhooks.ping(asked.deps, asked.caller, workspace, name))
