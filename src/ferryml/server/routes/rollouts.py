"""/rollouts: taken, shown with their evidence, promoted, rolled back, paused and resumed."""

from __future__ import annotations

from fastapi import APIRouter

from ferryml.control import rollouts
from ferryml.control.ports import Json
from ferryml.control.rollouts import Verb
from ferryml.server.auth import After, Document, Limit, Name, Person, span

router = APIRouter(prefix="/workspaces/{workspace}/rollouts", tags=["rollouts"])


@router.post("", status_code=201)
def create(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Begin a rollout."""
    return rollouts.create(asked.deps, asked.caller, workspace, document)


@router.get("")
def list_all(asked: Person, workspace: Name, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """Rollouts, newest first."""
    return rollouts.list_rollouts(asked.deps, asked.caller, workspace, *span(asked, after, limit))


@router.get("/{name}")
def show(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One rollout with the evidence of each endpoint."""
    return rollouts.show(asked.deps, asked.caller, workspace, name)


@router.post("/{name}/{verb}")
def act(asked: Person, workspace: Name, name: Name, verb: Verb) -> dict[str, Json]:
    """Promote, rollback, pause or resume."""
    return rollouts.act(asked.deps, asked.caller, workspace, name, verb)
