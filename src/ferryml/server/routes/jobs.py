"""/jobs: submitted, shown, followed, cancelled."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from ferryml.control import jobs, logs
from ferryml.control.ports import Json
from ferryml.server.auth import MOST, After, Document, Limit, Name, Needed, Person, Text, Wait, span

router = APIRouter(prefix="/workspaces/{workspace}/jobs", tags=["jobs"])


@router.post("", status_code=201)
def create(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Submit a command job."""
    return dict(jobs.create(asked.deps, asked.caller, workspace, document))


@router.get("")
def list_all(
    asked: Person, workspace: Name, status: Annotated[list[str] | None, Query(max_length=20)] = None,
    parent: Text = None, archived: Literal["no", "yes", "any"] = "no", after: After = 0, limit: Limit = None,
) -> dict[str, Json]:  # fmt: skip
    """Jobs, newest first; `next` is the `after` of the following page."""
    phases = tuple(value for value in status or () if "\0" not in value)
    return jobs.list_jobs(asked.deps, asked.caller, workspace, span(asked, after, limit), phases, parent, archived)


@router.get("/{name}")
def show(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One job, with the reason for where it is."""
    return dict(jobs.show(asked.deps, asked.caller, workspace, name))


@router.patch("/{name}")
def update(asked: Person, workspace: Name, name: Name, changes: Document) -> dict[str, Json]:
    """Change description, display_name, tags or properties."""
    return dict(jobs.update(asked.deps, asked.caller, workspace, name, changes))


@router.post("/{name}/cancel")
def cancel(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Ask for the end of a job."""
    return dict(jobs.cancel(asked.deps, asked.caller, workspace, name))


@router.post("/{name}/archive")
def archive(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Hide a job that has ended."""
    return dict(jobs.archive(asked.deps, asked.caller, workspace, name))


@router.post("/{name}/restore")
def restore(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Show a hidden job again."""
    return dict(jobs.archive(asked.deps, asked.caller, workspace, name, archived=False))


@router.get("/{name}/explain")
def explain(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Why the job is where it is, and what would mend it."""
    return dict(jobs.why(asked.deps, asked.caller, workspace, name))


@router.get("/{name}/outputs")
def outputs(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """Outputs of a job that has ended."""
    return dict(jobs.outputs(asked.deps, asked.caller, workspace, name))


@router.get("/{name}/logs")
def list_logs(asked: Person, workspace: Name, name: Name) -> list[Json]:
    """Log files with their sizes in bytes."""
    return logs.list_logs(asked.deps, asked.caller, workspace, name)


@router.get("/{name}/logs/content", response_class=Response)
def read_log(
    asked: Person, workspace: Name, name: Name, path: Needed, offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=logs.MAX_READ)] = 1024**2, wait: Wait = 0,
) -> Response:  # fmt: skip
    """Bytes of a log; `wait` seconds for more. X-Ferry-Size is the file's size, X-Ferry-Phase the job's state."""
    piece = logs.read(asked.deps, asked.caller, workspace, name, path, (offset, limit), wait)
    headers = {"X-Ferry-Size": str(piece.size), "X-Ferry-Phase": piece.phase}
    return Response(piece.data, media_type="application/octet-stream", headers=headers)
