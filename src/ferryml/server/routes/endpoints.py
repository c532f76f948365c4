"""/online-endpoints and their deployments: made, given traffic, asked how they do, taken down."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import deployment_logs, feedback
from ferryml.control import spread_deployments as deployments
from ferryml.control import spread_endpoints as endpoints
from ferryml.control.ports import Json
from ferryml.server.auth import Document, Name, Person, Text

router = APIRouter(prefix="/workspaces/{workspace}/online-endpoints", tags=["online-endpoints"])
Deployment = Annotated[str, Path(pattern=r"^[A-Za-z][-A-Za-z0-9]{0,63}$")]


class WhichKey(BaseModel):
    """Which of the two keys is made anew."""

    model_config = ConfigDict(extra="forbid")
    key_type: Literal["primary", "secondary"]


class Labels(BaseModel):
    """True labels by request id."""

    model_config = ConfigDict(extra="forbid")
    labels: list[Document] = Field(max_length=feedback.MAX_LABELS)


@router.post("", status_code=201)
def create(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
    """Create an endpoint."""
    return dict(endpoints.create(asked.deps, asked.caller, workspace, document))


@router.get("")
def list_all(asked: Person, workspace: Name) -> dict[str, Json]:
    """All endpoints of the workspace."""
    return {"items": endpoints.list_endpoints(asked.deps, asked.caller, workspace), "next": None}


@router.get("/{name}")
def show(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """One endpoint."""
    return dict(endpoints.show(asked.deps, asked.caller, workspace, name))


@router.put("/{name}")
def put(asked: Person, workspace: Name, name: Name, document: Document) -> dict[str, Json]:
    """Create an endpoint, or bring it to what the document says."""
    return dict(endpoints.put(asked.deps, asked.caller, workspace, name, document))


@router.patch("/{name}")
def update(asked: Person, workspace: Name, name: Name, changes: Document) -> dict[str, Json]:
    """Change traffic, mirror_traffic, compute, description, tags or properties."""
    return dict(endpoints.update(asked.deps, asked.caller, workspace, name, changes))


@router.delete("/{name}", status_code=202)
def delete(asked: Person, workspace: Name, name: Name) -> None:
    """Take an endpoint down with all its deployments; it is gone when GET answers 404."""
    endpoints.delete(asked.deps, asked.caller, workspace, name)


@router.get("/{name}/keys")
def keys(asked: Person, workspace: Name, name: Name, compute: Text = None) -> dict[str, Json]:
    """Both keys of an endpoint that has keys."""
    return dict(endpoints.get_keys(asked.deps, asked.caller, workspace, name, compute or ""))


@router.get("/{name}/credentials")
def get_credentials(asked: Person, workspace: Name, name: Name, compute: Text = None) -> dict[str, Json]:
    """Both keys, or a fresh token where the endpoint takes tokens; those of each compute where they are separate."""
    return dict(endpoints.get_credentials(asked.deps, asked.caller, workspace, name, compute or ""))


@router.get("/{name}/scoring")
def scoring(asked: Person, workspace: Name, name: Name, compute: Text = None) -> dict[str, Json]:
    """Where predictions are asked: on `compute`, or on the first that can be reached."""
    return dict(endpoints.scoring(asked.deps, asked.caller, workspace, name, compute or ""))


@router.post("/{name}/keys/regenerate")
def regenerate(
    asked: Person, workspace: Name, name: Name, which: WhichKey, compute: Text = None
) -> dict[str, Json]:  # fmt: skip
    """Make one key anew; the other stays. Separate keys are made anew on one compute, which must be named."""
    return dict(endpoints.regenerate(asked.deps, asked.caller, workspace, name, which.key_type, compute or ""))


@router.post("/{name}/feedback", status_code=202)
def give_feedback(asked: Person, workspace: Name, name: Name, body: Labels) -> dict[str, Json]:
    """True labels for answered requests."""
    return dict(feedback.give(asked.deps, asked.caller, workspace, name, body.labels))


@router.get("/{name}/stats")
def stats(asked: Person, workspace: Name, name: Name, compute: Text = None) -> dict[str, Json]:
    """Requests, errors, latencies and live accuracy: of all computes, or of one."""
    return dict(endpoints.stats(asked.deps, asked.caller, workspace, name, compute or ""))


@router.post("/{name}/deployments", status_code=201)
def create_deployment(
    asked: Person, workspace: Name, name: Name, document: Document, all_traffic: bool = False
) -> dict[str, Json]:
    """Create a deployment; with `all_traffic` it gets 100 percent once it is ready."""
    return dict(deployments.create(asked.deps, asked.caller, workspace, name, document, all_traffic))


@router.get("/{name}/deployments")
def list_deployments(asked: Person, workspace: Name, name: Name) -> dict[str, Json]:
    """All deployments of an endpoint."""
    return {"items": deployments.list_deployments(asked.deps, asked.caller, workspace, name), "next": None}


@router.get("/{name}/deployments/{deployment}")
def show_deployment(asked: Person, workspace: Name, name: Name, deployment: Deployment) -> dict[str, Json]:
    """One deployment."""
    return dict(deployments.show(asked.deps, asked.caller, workspace, name, deployment))


@router.put("/{name}/deployments/{deployment}")
def put_deployment(
    asked: Person, workspace: Name, name: Name, deployment: Deployment, document: Document, all_traffic: bool = False
) -> dict[str, Json]:
    """Create a deployment, or replace its spec: a new revision takes over when it is ready."""
    return dict(deployments.put(asked.deps, asked.caller, workspace, name, deployment, document, all_traffic))


@router.patch("/{name}/deployments/{deployment}")
def update_deployment(
    asked: Person, workspace: Name, name: Name, deployment: Deployment, changes: Document
) -> dict[str, Json]:
    """Change fields of a deployment."""
    return dict(deployments.update(asked.deps, asked.caller, workspace, name, deployment, changes))


@router.delete("/{name}/deployments/{deployment}", status_code=202)
def delete_deployment(asked: Person, workspace: Name, name: Name, deployment: Deployment) -> None:
    """Take a deployment without traffic down."""
    deployments.delete(asked.deps, asked.caller, workspace, name, deployment)


def wanted_lines(
    lines: Annotated[int, Query(ge=1, le=deployment_logs.MAX_LINES)] = 5000,
    container: Literal["inference-server", "storage-initializer"] = "inference-server", revision: Text = None,
    compute: Text = None,
) -> deployment_logs.Wanted:  # fmt: skip
    """Which lines a query asks for."""
    return deployment_logs.Wanted(lines, container, revision or "", compute or "")


@router.get("/{name}/deployments/{deployment}/logs")
def get_logs(
    asked: Person, workspace: Name, name: Name, deployment: Deployment,
    wanted: Annotated[deployment_logs.Wanted, Depends(wanted_lines)],
) -> dict[str, Json]:  # fmt: skip
    """The last lines of one container, and whose they are: `{content, compute, revision}`."""
    return dict(deployment_logs.get_logs(asked.deps, asked.caller, workspace, name, deployment, wanted))
