"""The gateway's HTTP: what jobs and deployments of a site may ask, each with a token of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ferryml.domain.errors import Defect, FerryError, Refused, TooLarge
from ferryml.domain.orders import Json, Tree
from ferryml.gateway.door import Door
from ferryml.gateway.journal import Caller, check_offset
from ferryml.gateway.mlflow import Answer, Ask, MlflowDoor, refusal
from ferryml.gateway.store import Draft, SiteStore

log = logging.getLogger(__name__)

BLOCK = 1 << 20
FETCH_WAIT_S = 20.0
ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
M = TypeVar("M", bound=BaseModel)
Endpoint = Callable[[Request], Awaitable[Response]]


class OutputSaid(BaseModel):
    """Body of `POST /v1/outputs`."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=255)
    tree: Tree
    type: str = "uri_folder"
    rank: int = Field(0, ge=0)
    """Which pod of a job of several."""


class CompleteSaid(BaseModel):
    """Body of `POST /v1/complete`."""

    exit_code: int
    outputs: dict[str, Json] = {}


class Routes:
    """Everything that blocks runs in worker threads; bodies of files are streamed."""

    def __init__(self, door: Door, mlflow: MlflowDoor, store: SiteStore, max_body_bytes: int) -> None:
        self._door, self._mlflow, self._store, self._limit = door, mlflow, store, max_body_bytes

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def get_blob(self, request: Request) -> Response:
        """A file or manifest of the grant; Range is honoured."""
        caller = await self._caller(request)
        path = await run_in_threadpool(self._door.blob, caller, request.path_params["digest"], FETCH_WAIT_S)
        return FileResponse(path, media_type="application/octet-stream")

    async def put_blob(self, request: Request) -> Response:
        caller, digest = await self._caller(request), request.path_params["digest"]
        with self._store.draft() as draft:
            await _receive(request, draft)
            _, size = await run_in_threadpool(draft.publish, digest)
        await run_in_threadpool(self._door.received, caller, digest)
        return JSONResponse({"digest": digest, "size": size})

    async def post_output(self, request: Request) -> Response:
        caller = await self._caller(request)
        said = _read(OutputSaid, await _body(request, max(self._limit, 64 * BLOCK)))
        ref, seq = await run_in_threadpool(self._door.take_output, caller, said.name, said.tree, said.type)
        return JSONResponse({"tree": ref.model_dump(), "seq": seq})

    async def post_log(self, request: Request) -> Response:
        caller = await self._caller(request)
        path, offset = request.query_params.get("path", ""), check_offset(request.query_params.get("offset", "0"))
        data = await _body(request, self._limit)
        size = await run_in_threadpool(self._door.take_log, caller, path, offset, data)
        return JSONResponse({"size": size})

    async def complete(self, request: Request) -> Response:
        caller = await self._caller(request)
        said = _read(CompleteSaid, await _body(request, self._limit))
        seq = await run_in_threadpool(self._door.complete, caller, said.exit_code)
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
                await _receive(request, draft)
                blob, _ = await run_in_threadpool(draft.publish)
            await run_in_threadpool(self._door.received, caller, blob)
            ask = _with(ask, blob=blob)
        else:
            ask = _with(ask, body=await _body(request, self._limit))
        return _response(await run_in_threadpool(self._mlflow_now, _token(request), ask))

    def _mlflow_now(self, token: str, ask: Ask) -> Answer:
        """One step in one thread: a program that logs in a loop waits for each answer."""
        caller = self._door.who(token)
        return self._mlflow.answer(caller, self._door.grant_of(caller), ask)

    async def _caller(self, request: Request) -> Caller:
        return await run_in_threadpool(self._door.who, _token(request))


def build(routes: Routes, new_id: Callable[[], str]) -> Starlette:
    """The application; `new_id` names requests in errors and the log."""
    table: list[tuple[str, Endpoint, list[str]]] = [
        ("/healthz", routes.health, ["GET"]),
        ("/v1/blobs/{digest}", routes.get_blob, ["GET"]),
        ("/v1/blobs/{digest}", routes.put_blob, ["PUT"]),
        ("/v1/trees/{digest}", routes.get_blob, ["GET"]),
        ("/v1/outputs", routes.post_output, ["POST"]),
        ("/v1/logs", routes.post_log, ["POST"]),
        ("/v1/complete", routes.complete, ["POST"]),
        ("/mlflow/{path:path}", routes.mlflow, ANY),
    ]

    def refused(request: Request, error: Exception) -> Response:
        told = _told(error)
        status = error.status_code if isinstance(error, HTTPException) else told.status
        return JSONResponse({"error": told.as_dict(), "request_id": new_id()}, status)

    def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=499)

    return Starlette(
        routes=[Route(path, endpoint, methods=methods) for path, endpoint, methods in table],
        exception_handlers={FerryError: refused, HTTPException: refused, Exception: refused, ClientDisconnect: gone},
    )


def _told(error: Exception) -> FerryError:
    """The one error shape for everything; what is not ours by type is our defect, and the log has it."""
    if isinstance(error, FerryError):
        return error
    if isinstance(error, HTTPException):
        return Refused("NotFound" if error.status_code == 404 else "BadRequest", error.detail)
    return Defect("Internal", "the gateway has a defect", "Its log has the story.")


def _token(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _with(ask: Ask, body: bytes = b"", blob: str = "") -> Ask:
    return Ask(ask.method, ask.path, ask.query, ask.content_type, body, blob)


def _response(answer: Answer) -> Response:
    if answer.file is not None:
        return FileResponse(answer.file, answer.status, media_type=answer.content_type)
    if answer.stream is not None:
        return StreamingResponse(answer.stream, answer.status, answer.headers, answer.content_type)
    return Response(answer.body, answer.status, media_type=answer.content_type)


async def _body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge("LimitExceeded", f"the body is larger than {limit} bytes", "Send it in parts, or as a file.")
        parts.append(chunk)
    return b"".join(parts)


async def _receive(request: Request, draft: Draft) -> None:
    """Files go to disk in blocks, off the event loop."""
    block = bytearray()
    async for chunk in request.stream():
        block += chunk
        if len(block) >= BLOCK:
            await run_in_threadpool(draft.write, bytes(block))
            block.clear()
    if block:
        await run_in_threadpool(draft.write, bytes(block))


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused("BadRequest", f"{where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Refused("BadRequest", "the body is not JSON") from error
