"""/artifacts: files by content, uploaded in parts that can be resumed, read by range."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import artifacts
from ferryml.control.ports import Json
from ferryml.server.auth import MOST, Name, Person
from ferryml.server.streams import BINARY, Offset, Range, Raw, answer

router = APIRouter(prefix="/workspaces/{workspace}/artifacts", tags=["artifacts"])
DIGEST = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Path(pattern=DIGEST)]
Ident = Annotated[str, Path(pattern=r"^[A-Za-z0-9_=-]{1,1000}$")]
DigestText = Annotated[str, Field(pattern=DIGEST)]


class Wanted(BaseModel):
    """Digests to ask about."""

    model_config = ConfigDict(extra="forbid")
    digests: Annotated[list[DigestText], Field(max_length=artifacts.MAX_ASKED)]


class NewUpload(BaseModel):
    """A file to come."""

    model_config = ConfigDict(extra="forbid")
    digest: DigestText
    size: Annotated[int, Field(ge=0, le=MOST)]
    """Bytes."""


@router.post("/missing")
def missing(asked: Person, workspace: Name, wanted: Wanted) -> dict[str, list[str]]:
    """Which of the digests have to be uploaded."""
    return {"missing": artifacts.missing(asked.deps, asked.caller, workspace, wanted.digests)}


@router.post("/uploads", status_code=201)
def start(asked: Person, workspace: Name, wanted: NewUpload) -> dict[str, Json]:
    """Begin an upload, or resume it: go on at `offset`, unless `done`."""
    return dict(artifacts.start(asked.deps, asked.caller, workspace, wanted.digest, wanted.size))


@router.get("/uploads/{ident}")
def offset(asked: Person, workspace: Name, ident: Ident) -> dict[str, Json]:
    """Where to go on."""
    upload = artifacts.opened(asked.deps, ident, workspace, asked.caller.token)
    return dict(artifacts.start(asked.deps, asked.caller, workspace, upload.digest, upload.size))


@router.patch("/uploads/{ident}", status_code=204, openapi_extra=BINARY)
def append(asked: Person, workspace: Name, ident: Ident, upload_offset: Offset, data: Raw) -> Response:
    """Add bytes at Upload-Offset; the new offset comes back in the same header."""
    upload = artifacts.opened(asked.deps, ident, workspace, asked.caller.token)
    now = artifacts.append(asked.deps, upload, upload_offset, [data])
    return Response(status_code=204, headers={"Upload-Offset": str(now)})


@router.post("/uploads/{ident}/finish")
def finish(asked: Person, workspace: Name, ident: Ident) -> dict[str, Json]:
    """Check the digest; from now on the workspace has the file."""
    return dict(artifacts.finish(asked.deps, artifacts.opened(asked.deps, ident, workspace, asked.caller.token)))


@router.put("/blobs/{digest}", status_code=201, openapi_extra=BINARY)
def put(asked: Person, workspace: Name, digest: Digest, data: Raw) -> dict[str, Json]:
    """A small file in one request."""
    return dict(artifacts.put(asked.deps, asked.caller, workspace, digest, data))


@router.get("/blobs/{digest}", response_class=Response)
def read(asked: Person, workspace: Name, digest: Digest, range: Range = None) -> Response:
    """The bytes, or a range of them."""
    size = artifacts.size_of(asked.deps, asked.caller, workspace, digest)
    return answer(size, range, lambda start, end: artifacts.read(asked.deps, digest, start, end))


@router.head("/blobs/{digest}", response_class=Response)
def size(asked: Person, workspace: Name, digest: Digest, range: Range = None) -> Response:
    """The size in Content-Length."""
    found = artifacts.size_of(asked.deps, asked.caller, workspace, digest)
    return answer(found, range, lambda start, end: iter(()), head=True)
