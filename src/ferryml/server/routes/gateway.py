"""/gateway/v1: bytes both ways, the journal and MLflow, as gateways of sites use it."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import artifacts, gateway, journal
from ferryml.control.ports import Json
from ferryml.domain.link import Journal, JournalAnswer, MlflowCall
from ferryml.server.auth import MOST, GatewaySite, Hands
from ferryml.server.routes.artifacts import Digest, DigestText, Ident
from ferryml.server.streams import BINARY, Offset, Range, Raw, answer
from ferryml.server.versions import Sparse

router = APIRouter(prefix="/gateway/v1", tags=["link"])
Grant = Annotated[str, Header(alias="X-Ferry-Grant", max_length=64 * 1024)]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class NewUpload(BaseModel):
    """A file to come, and the grant that it comes under."""

    model_config = ConfigDict(extra="forbid")
    digest: DigestText
    size: Annotated[int, Field(ge=0, le=MOST)]
    grant: str


def memory(request: Request) -> gateway.TreeMemory:
    """Of this process."""
    found: gateway.TreeMemory = request.app.state.trees
    return found


@router.get("/blobs/{digest}", response_class=Response)
def read(
    request: Request, deps: Hands, site: GatewaySite, digest: Digest, x_ferry_grant: Grant, range: Range = None
) -> Response:
    """A file that the grant names, by itself or inside of a tree."""
    size = gateway.readable(deps, site, digest, x_ferry_grant, memory(request))
    return answer(size, range, lambda start, end: artifacts.read(deps, digest, start, end))


@router.head("/blobs/{digest}", response_class=Response)
def size(request: Request, deps: Hands, site: GatewaySite, digest: Digest, x_ferry_grant: Grant) -> Response:
    """Its size in Content-Length."""
    found = gateway.readable(deps, site, digest, x_ferry_grant, memory(request))
    return answer(found, None, lambda start, end: iter(()), head=True)


@router.post("/uploads", status_code=201)
def start(deps: Hands, site: GatewaySite, wanted: NewUpload) -> dict[str, Json]:
    """Begin an upload, or resume it."""
    return dict(gateway.start(deps, site, wanted.digest, wanted.size, wanted.grant))


@router.patch("/uploads/{ident}", status_code=204, openapi_extra=BINARY)
def append(deps: Hands, site: GatewaySite, ident: Ident, upload_offset: Offset, data: Raw) -> Response:
    """Add bytes at Upload-Offset."""
    upload = artifacts.opened(deps, ident, None, gateway.owner(site))
    now = artifacts.append(deps, upload, upload_offset, [data])
    return Response(status_code=204, headers={"Upload-Offset": str(now)})


@router.post("/uploads/{ident}/finish")
def finish(deps: Hands, site: GatewaySite, ident: Ident) -> dict[str, Json]:
    """Check the digest; from now on the grant's workspace has the file."""
    return dict(artifacts.finish(deps, artifacts.opened(deps, ident, None, gateway.owner(site))))


@router.post("/journal", response_model=JournalAnswer)
def take(deps: Hands, site: GatewaySite, entries: Journal) -> Sparse:
    """Logs, outputs and MLflow calls, in order, each applied once."""
    return Sparse(journal.take(deps, site, entries))


def mlflow(request: Request, deps: Hands, site: GatewaySite, path: str, x_ferry_grant: Grant, data: Raw) -> Response:
    """One MLflow call of a job, passed through while the link is up."""
    _, file, artifact = path.partition("mlflow-artifacts/artifacts/")
    if request.method == "GET" and file:
        size, chunks = gateway.mlflow_file(deps, site, x_ferry_grant, artifact)
        return StreamingResponse(chunks, 200, {"Content-Length": str(size)}, "application/octet-stream")
    query = request.url.query
    call = MlflowCall(
        method=request.method, path=path + (f"?{query}" if query else ""), body=base64.b64encode(data).decode(),
        content_type=request.headers.get("content-type", ""),
    )  # fmt: skip
    status, body = gateway.mlflow(deps, site, x_ferry_grant, call, data)
    return Response(body, status, media_type=_kind(request.method, path))


def _kind(method: str, path: str) -> str:
    file = method == "GET" and ("/artifacts/" in path or path.endswith("get-artifact"))
    return "application/octet-stream" if file else "application/json"


def _add(methods: list[str]) -> None:
    for method in methods:
        extra: dict[str, Any] = {} if method == "GET" else BINARY
        router.add_api_route(
            "/mlflow/{path:path}", mlflow, methods=[method], response_class=Response, openapi_extra=extra,
            operation_id=f"mlflow_{method.lower()}",
        )  # fmt: skip


_add(METHODS)
