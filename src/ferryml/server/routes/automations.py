"""/automations and their runs: put, fired, paused, approved."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import automations
from ferryml.control.ports import Json
from ferryml.server.auth import After, Document, Limit, Name, Person, span

router = APIRouter(prefix="/workspaces/{workspace}/automations", tags=["automations"])
Run = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,8}$")]


class Fire(BaseModel):
    """What a manual trigger may pin: `data` and `model`, each azureml:NAME:VERSION."""

    model_config = ConfigDict(extra="forbid")
    inputs: dict[str, str] = Field(default={}, max_length=2)


@router.put("/{name}")
def put(asked: Person, workspace: Name, name: Name, document: Document) -> dict[str, Json]:
    """Create or replace an automation."""
    return dict(automations.put(asked.deps, asked.caller, workspace, name, document))


@router.get("")
def list_all(asked: Person, workspace: Name, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """All automations, newest first."""
    return automations.list_automations(asked.deps, asked.caller, workspace, *span(asked, after, limit))


@router.get("/{name}")
def show(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One automation with its latest run."""
    return dict(automations.show(asked.deps, asked.caller, workspace, name))


@router.delete("/{name}", status_code=204)
def delete(asked: Person, workspace: Name, name: Name) -> None:
    """Remove an automation that has no run under way."""
    automations.delete(asked.deps, asked.caller, workspace, name)


@router.get("/{name}/runs")
def runs(asked: Person, workspace: Name, name: Name, after: After = 0, limit: Limit = None) -> dict[str, Json]:
    """Runs, newest first, each transition with its evidence."""
    return automations.history(asked.deps, asked.caller, workspace, name, *span(asked, after, limit))


@router.get("/{name}/runs/{run}")
def show_run(asked: Person, workspace: Name, name: Name, run: Run) -> dict[str, Json]:
    """One run, each transition with its evidence."""
    return dict(automations.show_run(asked.deps, asked.caller, workspace, name, run))


@router.post("/{name}/trigger")
def trigger(asked: Person, workspace: Name, name: Name, fire: Fire | None = None) -> dict[str, Json]:
    """Fire by hand."""
    return dict(automations.trigger(asked.deps, asked.caller, workspace, name, fire.inputs if fire else {}))


@router.post("/{name}/{verb}")
def pause(asked: Person, workspace: Name, name: Name, verb: Literal["pause", "resume"]) -> dict[str, Json]:
    """Pause or resume."""
    return dict(automations.set_paused(asked.deps, asked.caller, workspace, name, verb == "pause"))


@router.post("/{name}/runs/{run}/{verb}")
def answer(asked: Person, workspace: Name, name: Name, run: Run, verb: Literal["approve", "reject"]) -> dict[str, Json]:
    """A person's word on a run that waits for approval."""
    return dict(automations.answer(asked.deps, asked.caller, workspace, (name, run), verb == "approve"))
