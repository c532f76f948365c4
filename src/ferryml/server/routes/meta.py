"""What anybody may ask of the server itself, and who the caller is."""

from __future__ import annotations

from importlib import metadata

from fastapi import APIRouter

from ferryml.control.ports import Json
from ferryml.domain.link import PROTOCOL
from ferryml.server.auth import Hands, Person

VERSION = metadata.version("ferryml")
open_router = APIRouter(tags=["server"])
router = APIRouter(tags=["server"])


@open_router.get("/version")
def version(deps: Hands) -> dict[str, Json]:
    """Version of the server and of the link's protocol; `server_id` names this installation."""
    return {"version": VERSION, "protocol": PROTOCOL, "server_id": deps.keys.server_id}


@open_router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@open_router.get("/readyz")
def readyz(deps: Hands) -> dict[str, str]:
    """The database answers."""
    with deps.store.read() as tx:
        return {"status": "ok", "epoch": tx.epoch()}


@router.get("/whoami")
def whoami(asked: Person) -> dict[str, Json]:
    """Name, role and workspace of the token."""
    caller = asked.caller
    return {"name": caller.name, "role": caller.role, "workspace": caller.workspace, "token_id": caller.token}
