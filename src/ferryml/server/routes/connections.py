"""Shells in running jobs: the end of who asked, and the end of the job's site."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ferryml.control import connections
from ferryml.control.ports import Json
from ferryml.domain.connection import ConnectionAsk, Connections, Piece
from ferryml.server.auth import MOST, AgentSite, Hands, Name, Person, Wait
from ferryml.server.versions import Sparse

router = APIRouter(prefix="/workspaces/{workspace}", tags=["jobs"])
site_router = APIRouter(prefix="/agent/v1/connections", tags=["link"])
Offset = Annotated[int, Query(ge=0, le=MOST)]


@router.post("/jobs/{name}/connections", status_code=201)
def connect(asked: Person, workspace: Name, name: Name, ask: ConnectionAsk) -> dict[str, Json]:
    """Open a connection to a running job of one's own."""
    return dict(connections.open_(asked.deps, asked.caller, workspace, name, ask))


@router.post("/connections/{name}/in")
def say(asked: Person, workspace: Name, name: Name, piece: Piece) -> dict[str, int]:
    """Bytes for the job's end; `size` of all so far."""
    row = connections.mine(asked.deps, asked.caller, workspace, name)
    return {"size": connections.say(asked.deps, row, "in", piece)}


@router.get("/connections/{name}/out")
def hear(asked: Person, workspace: Name, name: Name, offset: Offset = 0, wait: Wait = 0) -> Piece:
    """Bytes from the job's end."""
    return connections.hear(
        asked.deps, connections.mine(asked.deps, asked.caller, workspace, name), "out", offset, wait
    )


@router.delete("/connections/{name}", status_code=204)
def close(asked: Person, workspace: Name, name: Name) -> None:
    """End the connection, and with it what runs there."""
    connections.close(asked.deps, connections.mine(asked.deps, asked.caller, workspace, name))


@site_router.get("", response_model=Connections)
def open_ones(
    deps: Hands, site: AgentSite, wait: Wait = 0, known: Annotated[str, Query(max_length=10_000)] = ""
) -> Sparse:
    """Connections to jobs of this site; held open until there is one that is not `known`."""
    return Sparse(connections.of_site(deps, site, wait, frozenset(known.split(","))))


@site_router.get("/{name}/in", response_model=Piece)
def site_hear(deps: Hands, site: AgentSite, name: Name, offset: Offset = 0, wait: Wait = 0) -> Sparse:
    """Bytes from who asked."""
    return Sparse(connections.hear(deps, connections.theirs(deps, site, name), "in", offset, wait))


@site_router.post("/{name}/out")
def site_say(deps: Hands, site: AgentSite, name: Name, piece: Piece) -> dict[str, int]:
    """Bytes for who asked."""
    return {"size": connections.say(deps, connections.theirs(deps, site, name), "out", piece)}
