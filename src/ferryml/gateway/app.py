"""The gateway's HTTP: what jobs and deployments of a site may ask, each with a token of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ferryml.domain.errors import FerryError
from ferryml.domain.orders import Json, Tree
from ferryml.gateway.door import Door
from ferryml.gateway.http import BLOCK, Row, body_of, handlers, read_as, receive, token_of
from ferryml.gateway.journal import Caller, check_offset
from ferryml.gateway.mlflow import Answer, Ask, MlflowDoor, refusal
from ferryml.gateway.store import SiteStore

FETCH_WAIT_S = 20.0
PATIENT_THREADS = 200
"""For calls that wait for the link: they must not keep others from coming in."""
ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class OutputSaid(BaseModel):
    """Body of `POST /v1/outputs`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=255)
    tree: Tree
    type: str = "uri_folder"
    rank: int = Field(0, ge=0)
    """Which pod of a job of several."""
    so_far: bool = False
    """The program still runs: kept for another attempt, and not passed on."""


class CompleteSaid(BaseModel):
    """Body of `POST /v1/complete`."""

    exit_code: int
    outputs: dict[str, Json] = {}
    of: int = Field(1, ge=1, le=100_000)
    """Pods of the job, each of which says this."""


class Routes:
    """Everything that blocks runs in worker threads; bodies of files are streamed."""

    def __init__(self, door: Door, mlflow: MlflowDoor, store: SiteStore, max_body_bytes: int) -> None:
        self._door, self._mlflow, self._store, self._limit = door, mlflow, store, max_body_bytes
        self._patient = ThreadPoolExecutor(PATIENT_THREADS, thread_name_prefix="ferry-call")

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def get_blob(self, request: Request) -> Response:
        """A file or manifest of the grant; Range is honoured."""
        caller, loop = await self._caller(request), asyncio.get_running_loop()
        digest = request.path_params["digest"]
        path = await loop.run_in_executor(self._patient, self._door.blob, caller, digest, FETCH_WAIT_S)
        return FileResponse(path, media_type="application/octet-stream")

    async def put_blob(self, request: Request) -> Response:
        caller, digest = await self._caller(request), request.path_params["digest"]
        with self._store.draft() as draft:
            await receive(request, draft)
            _, size = await run_in_threadpool(draft.publish, digest)
        await run_in_threadpool(self._door.received, caller, digest)
        return JSONResponse({"digest": digest, "size": size})

    async def post_output(self, request: Request) -> Response:
        caller = await self._caller(request)
        said = read_as(OutputSaid, await body_of(request, max(self._limit, 64 * BLOCK)))
        if said.so_far:
            ref = await run_in_threadpool(self._door.take_checkpoint, caller, said.name, said.tree)
            return JSONResponse({"tree": ref.model_dump(), "seq": 0})
        ref, seq = await run_in_threadpool(self._door.take_output, caller, said.name, said.tree, said.type)
        return JSONResponse({"tree": ref.model_dump(), "seq": seq})

    async def post_log(self, request: Request) -> Response:
        caller = await self._caller(request)
        path, offset = request.query_params.get("path", ""), check_offset(request.query_params.get("offset", "0"))
        data = await body_of(request, self._limit)
        size = await run_in_threadpool(self._door.take_log, caller, path, offset, data)
        return JSONResponse({"size": size})

    async def complete(self, request: Request) -> Response:
        caller = await self._caller(request)
        said = read_as(CompleteSaid, await body_of(request, self._limit))
        seq = await run_in_threadpool(self._door.complete, caller, said.exit_code, said.of)
        return JSONResponse({"receipt": seq})

    async def mlflow(self, request: Request) -> Response:
        try:
            return await self._mlflow_answer(request)
        except FerryError as error:
            return _response(refusal(error))

    async def _mlflow_answer(self, request: Request) -> Response:
        raw = cast(bytes, request.scope["raw_path"]).partition(b"?")[0].decode("ascii", "replace")
        ask = Ask(
            method="GET" if request.method == "HEAD" else request.method,
            path=raw.split("/mlflow/", 1)[-1],
            query=request.url.query,
            content_type=request.headers.get("content-type", ""),
        )
        if request.method == "PUT":
            caller = await self._caller(request)
            with self._store.draft() as draft:
                await receive(request, draft)
                blob, _ = await run_in_threadpool(draft.publish)
            await run_in_threadpool(self._door.received, caller, blob)
            ask = _with(ask, blob=blob)
        else:
            ask = _with(ask, body=await body_of(request, self._limit))
        loop = asyncio.get_running_loop()
        return _response(await loop.run_in_executor(self._patient, self._mlflow_now, token_of(request), ask))

    def _mlflow_now(self, token: str, ask: Ask) -> Answer:
        """One step in one thread: a program that logs in a loop waits for each answer."""
        caller = self._door.who(token)
        return self._mlflow.answer(caller, self._door.grant_of(caller), ask)

    async def _caller(self, request: Request) -> Caller:
        return await run_in_threadpool(self._door.who, token_of(request))


def build(routes: Routes, new_id: Callable[[], str], more: Iterable[Row] = ()) -> Starlette:
    """The application; `new_id` names requests in errors and the log, `more` is what clusters have beside."""
    table: list[Row] = [
        *more,
        ("/healthz", routes.health, ["GET"]),
        ("/v1/blobs/{digest}", routes.get_blob, ["GET"]),
        ("/v1/blobs/{digest}", routes.put_blob, ["PUT"]),
        ("/v1/trees/{digest}", routes.get_blob, ["GET"]),
        ("/v1/outputs", routes.post_output, ["POST"]),
        ("/v1/logs", routes.post_log, ["POST"]),
        ("/v1/complete", routes.complete, ["POST"]),
        ("/mlflow/{path:path}", routes.mlflow, ANY),
    ]
    return Starlette(
        routes=[Route(path, endpoint, methods=methods) for path, endpoint, methods in table],
        exception_handlers=handlers(new_id),
    )


def _with(ask: Ask, body: bytes = b"", blob: str = "") -> Ask:
    return Ask(ask.method, ask.path, ask.query, ask.content_type, body, blob)


def _response(answer: Answer) -> Response:
    if answer.file is not None:
        return FileResponse(answer.file, answer.status, media_type=answer.content_type)
    if answer.stream is not None:
        return StreamingResponse(answer.stream, answer.status, answer.headers, answer.content_type)
    return Response(answer.body, answer.status, media_type=answer.content_type)
