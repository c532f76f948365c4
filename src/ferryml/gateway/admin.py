"""The agent's routes on a cluster: whom to let in, what came of it, and the pulse that says when to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ferryml.domain.errors import Refused
from ferryml.domain.orders import Json
from ferryml.gateway.door import Door
from ferryml.gateway.environments import Environments
from ferryml.gateway.http import M, Row, body_of, read_as, token_of
from ferryml.gateway.journal import Caller
from ferryml.gateway.pods import Pods
from ferryml.gateway.pulse import Pulse, States
from ferryml.gateway.sources import Sources

THREADS = 8
LONGEST_PULSE_S = 60.0
BODY_LIMIT = 16 << 20
T = TypeVar("T")


class AdmitSaid(BaseModel):
    """Body of `POST /admin/v1/admit`."""

    model_config = ConfigDict(extra="forbid")
    uid: str = Field(min_length=1, max_length=500)
    attempt: int = Field(ge=1)
    grant: str
    namespace: str = Field(min_length=1, max_length=63)
    prefix: str = Field(min_length=5, max_length=63, pattern="-$")
    kind: str = Field("job", pattern="^(job|preparation|build|serving)$")


class RenewSaid(BaseModel):
    uid: str
    grant: str


class DismissSaid(BaseModel):
    uid: str


class SourcesSaid(BaseModel):
    """Body of `POST /admin/v1/sources`: what a job may have fetched from outside, by the names of its plan."""

    uid: str
    sources: dict[str, dict[str, Json]]


class ModelSaid(BaseModel):
    """Body of `POST /admin/v1/model`: a model on a datastore, by the name that the grant has for it."""

    key: str = Field(min_length=1, max_length=500)
    grant: str


class ImageSaid(BaseModel):
    """Body of `POST /admin/v1/image`: what was built under this key."""

    model_config = ConfigDict(extra="forbid")
    key: str = Field(pattern="^[0-9a-f]{20,64}$")
    image: str = Field(max_length=512, pattern=r"^[\w.:/-]+@sha256:[0-9a-f]{64}$")


class CloseSaid(BaseModel):
    """Body of `POST /admin/v1/close`: no pod of the attempt can say anything any more."""

    uid: str
    attempt: int
    exit_code: int = 0


class AdminRoutes:
    """Threads of their own: however many pods wait here, the agent does not."""

    def __init__(
        self, door: Door, pods: Pods, states: States, pulse: Pulse, environments: Environments, sources: Sources
    ) -> None:
        self._door, self._pods, self._states, self._pulse = door, pods, states, pulse
        self._environments, self._sources = environments, sources
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ferry-admin")

    def table(self) -> list[Row]:
        return [
            ("/admin/v1/admit", self.admit, ["POST"]),
            ("/admin/v1/renew", self.renew, ["POST"]),
            ("/admin/v1/dismiss", self.dismiss, ["POST"]),
            ("/admin/v1/close", self.close, ["POST"]),
            ("/admin/v1/sources", self.sources, ["POST"]),
            ("/admin/v1/model", self.model, ["POST"]),
            ("/admin/v1/image", self.keep_image, ["POST"]),
            ("/admin/v1/image", self.image, ["GET"]),
            ("/admin/v1/receipt", self.receipt, ["GET"]),
            ("/admin/v1/states", self.states, ["GET"]),
            ("/admin/v1/outputs", self.outputs, ["GET"]),
            ("/admin/v1/lived", self.lived, ["GET"]),
            ("/admin/v1/log", self.log, ["POST"]),
            ("/admin/v1/size", self.size, ["GET"]),
            ("/admin/v1/content", self.content, ["GET"]),
            ("/admin/v1/pulse", self.pulse, ["GET"]),
            ("/v1/environment", self.environment, ["GET"]),
        ]

    async def admit(self, request: Request) -> Response:
        said = await self._said(request, AdmitSaid)
        caller = Caller(said.uid, said.attempt, "", said.grant, kind=said.kind)
        await self._work(lambda: self._door.admit_pods(caller, said.namespace, said.prefix))
        return JSONResponse({})

    async def renew(self, request: Request) -> Response:
        said = await self._said(request, RenewSaid)
        await self._work(lambda: self._door.renew(said.uid, said.grant))
        return JSONResponse({})

    async def dismiss(self, request: Request) -> Response:
        said = await self._said(request, DismissSaid)
        await self._work(lambda: self._door.dismiss(said.uid))
        return JSONResponse({})

    async def close(self, request: Request) -> Response:
        said = await self._said(request, CloseSaid)
        await self._work(lambda: self._door.close_attempt(said.uid, said.attempt, said.exit_code))
        return JSONResponse({})

    async def sources(self, request: Request) -> Response:
        said = await self._said(request, SourcesSaid)
        await self._work(lambda: self._sources.allow(said.uid, said.sources))
        return JSONResponse({})

    async def model(self, request: Request) -> Response:
        said = await self._said(request, ModelSaid)
        found = await self._work(lambda: self._door.model(said.key, said.grant))
        return JSONResponse(found.model_dump(mode="json"))

    async def keep_image(self, request: Request) -> Response:
        said = await self._said(request, ImageSaid)
        await self._work(lambda: self._environments.keep_image(said.key, said.image))
        return JSONResponse({})

    async def image(self, request: Request) -> Response:
        await self._check(request)
        key = request.query_params.get("key", "")
        return JSONResponse({"image": await self._work(lambda: self._environments.image(key))})

    async def receipt(self, request: Request) -> Response:
        await self._check(request)
        found = await self._work(lambda: self._door.receipt(*_key(request)))
        return JSONResponse(None if found is None else found.model_dump(mode="json"))

    async def states(self, request: Request) -> Response:
        await self._check(request)
        found = await self._work(lambda: self._states.of(*_key(request)))
        return JSONResponse({str(rank): state for rank, state in found.items()})

    async def outputs(self, request: Request) -> Response:
        await self._check(request)
        found = await self._work(lambda: self._door.outputs(*_key(request)))
        return JSONResponse({name: tree.model_dump(mode="json") for name, tree in found.items()})

    async def lived(self, request: Request) -> Response:
        await self._check(request)
        uid = request.query_params.get("uid", "")
        return JSONResponse({"attempt": await self._work(lambda: self._door.lived(uid))})

    async def log(self, request: Request) -> Response:
        await self._check(request)
        data, path = await body_of(request, BODY_LIMIT), request.query_params.get("path", "")
        await self._work(lambda: self._door.append_log(*_key(request), path, data))
        return JSONResponse({})

    async def size(self, request: Request) -> Response:
        """Brings the bytes to the site and tells how many they are."""
        await self._check(request)
        digest, grant = (request.query_params.get(name, "") for name in ("digest", "grant"))
        path = await self._work(lambda: self._door.fetch(digest, grant))
        return JSONResponse({"size": path.stat().st_size})

    async def content(self, request: Request) -> Response:
        """The bytes of a manifest or small file."""
        await self._check(request)
        digest, grant = (request.query_params.get(name, "") for name in ("digest", "grant"))
        path = await self._work(lambda: self._door.fetch(digest, grant))
        if path.stat().st_size > BODY_LIMIT:
            raise Refused("LimitExceeded", f"{digest} is larger than {BODY_LIMIT} bytes")
        return Response(await self._work(path.read_bytes), media_type="application/octet-stream")

    async def pulse(self, request: Request) -> Response:
        await self._check(request)
        after, wait = _number(request, "after"), min(LONGEST_PULSE_S, float(_number(request, "wait")))
        return JSONResponse(await self._work(lambda: self._pulse.after(after, wait)))

    async def environment(self, request: Request) -> Response:
        await self._check(request)
        return JSONResponse(await self._work(lambda: self._environments.get(request.query_params.get("key", ""))))

    async def _said(self, request: Request, model: type[M]) -> M:
        await self._check(request)
        return read_as(model, await body_of(request, BODY_LIMIT))

    async def _check(self, request: Request) -> None:
        await self._work(lambda: self._pods.check_admin(token_of(request)))

    async def _work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _key(request: Request) -> tuple[str, int]:
    return request.query_params.get("uid", ""), _number(request, "attempt")


def _number(request: Request, name: str) -> int:
    try:
        return max(0, int(float(request.query_params.get(name) or 0)))
    except (ValueError, OverflowError) as error:
        raise Refused("BadRequest", f"{name} must be a number") from error
