"""What pods of a cluster may say and ask beside what every job may: state, environment, their group's secret."""

from __future__ import annotations

import hashlib
import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from ferryml.gateway.door import Door
from ferryml.gateway.environments import LOCK_LIMIT, Environments, EnvironmentSaid
from ferryml.gateway.http import Row, body_of, read_as, token_of
from ferryml.gateway.pulse import States, StateSaid
from ferryml.gateway.sources import Sources

STATE_LIMIT = 256 * 1024
FETCH_WAIT_S = 5.0


class PodRoutes:
    """
    Args:
        secret: of this gateway; what is made from it opens nothing but the doors between pods of one attempt.
    """

    def __init__(self, door: Door, states: States, environments: Environments, sources: Sources, secret: bytes) -> None:
        self._door, self._states, self._environments, self._secret = door, states, environments, secret
        self._sources = sources

    def table(self) -> list[Row]:
        return [
            ("/v1/state", self.state, ["POST"]),
            ("/v1/environment", self.environment, ["POST"]),
            ("/v1/group", self.group, ["GET"]),
            ("/v1/sources/{name}", self.source, ["GET"]),
        ]

    async def state(self, request: Request) -> Response:
        caller = await run_in_threadpool(self._door.who, token_of(request))
        said = read_as(StateSaid, await body_of(request, STATE_LIMIT))
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

    async def group(self, request: Request) -> Response:
        """What the pods of one attempt know, and nobody else."""
        caller = await run_in_threadpool(self._door.who, token_of(request))
        said = f"group {caller.uid} {caller.attempt}".encode()
        return JSONResponse({"secret": hmac.new(self._secret, said, hashlib.sha256).hexdigest()})
