"""What pods of a cluster may say and ask beside what every job may: state, environment, their group's secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from ferryml.domain.errors import Forbidden
from ferryml.gateway.door import Door
from ferryml.gateway.environments import LOCK_LIMIT, Environments, EnvironmentSaid
from ferryml.gateway.http import Row, body_of, read_as, receive, token_of
from ferryml.gateway.pulse import States, StateSaid
from ferryml.gateway.sources import Sources
from ferryml.gateway.store import SiteStore
from ferryml.gateway.upstream import pieces

STATE_LIMIT = 256 * 1024
FETCH_WAIT_S = 5.0
PASSED_IN = ("range", "if-match")
PASSED_OUT = ("content-length", "content-range", "etag")


class PodRoutes:
    """
    Args:
        secret: of this gateway; what is made from it opens nothing but the doors between pods of one attempt.
    """

    def __init__(
        self, door: Door, states: States, environments: Environments, sources: Sources, store: SiteStore,
        secret: bytes,
    ) -> None:  # fmt: skip
        self._door, self._states, self._environments, self._secret = door, states, environments, secret
        self._sources, self._store = sources, store

    def table(self) -> list[Row]:
        return [
            ("/v1/state", self.state, ["POST"]),
            ("/v1/environment", self.environment, ["POST"]),
            ("/v1/group", self.group, ["GET"]),
            ("/v1/sources/{name}", self.source, ["GET"]),
            ("/v1/sources/{name}/entries", self.entries, ["GET"]),
            ("/v1/sources/{name}/file", self.read, ["GET"]),
            ("/v1/sources/{name}/file", self.write, ["PUT"]),
        ]

    async def state(self, request: Request) -> Response:
        caller = await run_in_threadpool(self._door.who, token_of(request))
        said = read_as(StateSaid, await body_of(request, STATE_LIMIT))
        if caller.kind != "serving":
            # pods of an endpoint have no rank: the agent reads what becomes of them in their status
            await run_in_threadpool(self._states.take, caller, said)
        return JSONResponse({})

    async def environment(self, request: Request) -> Response:
        caller = await run_in_threadpool(self._door.who, token_of(request))
        said = read_as(EnvironmentSaid, await body_of(request, 2 * LOCK_LIMIT))
        await run_in_threadpool(self._environments.take, caller, said)
        return JSONResponse({})

    async def source(self, request: Request) -> Response:
        """What the job reads from outside of the site; Range is honoured."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        path = await run_in_threadpool(self._sources.file, caller, request.path_params["name"], FETCH_WAIT_S)
        return FileResponse(path, media_type="application/octet-stream", headers={"X-Ferry-Digest": path.name})

    async def entries(self, request: Request) -> Response:
        """What lies at a place on an object store."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        found = await run_in_threadpool(self._sources.entries, caller, request.path_params["name"])
        return JSONResponse({"entries": [{"path": entry.path, "size": entry.size} for entry in found]})

    async def read(self, request: Request) -> Response:
        """One object, passed through; Range and If-Match are, too."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        name, path = request.path_params["name"], request.query_params.get("path", "")
        asked = {key: request.headers[key] for key in PASSED_IN if key in request.headers}
        answer = await run_in_threadpool(self._sources.read, caller, name, path, asked)
        headers = {key: answer.headers[key] for key in PASSED_OUT if key in answer.headers}
        return StreamingResponse(_closing(answer), answer.status_code, headers, "application/octet-stream")

    async def write(self, request: Request) -> Response:
        """One file of an output whose place is on an object store."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        if "outputs" not in (await run_in_threadpool(self._door.grant_of, caller)).writes:
            raise Forbidden("BadGrant", f"{caller.uid} has no outputs")
        name, path = request.path_params["name"], request.query_params.get("path", "")
        with self._store.draft() as draft:
            await receive(request, draft)
            await run_in_threadpool(self._sources.write, caller, name, path, draft.finished())
        return JSONResponse({"size": draft.size})

    async def group(self, request: Request) -> Response:
        """What the pods of one attempt know, and nobody else."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        said = f"group {caller.uid} {caller.attempt}".encode()
        return JSONResponse({"secret": hmac.new(self._secret, said, hashlib.sha256).hexdigest()})


def _closing(answer: httpx.Response) -> Iterator[bytes]:
    try:
        yield from pieces(answer)
    finally:
        answer.close()
