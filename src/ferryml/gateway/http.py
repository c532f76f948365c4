"""What every route of the gateway does with HTTP: tokens, bodies within bounds, the one error shape."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from ferryml.domain.errors import Defect, FerryError, Refused, TooLarge
from ferryml.gateway.store import Draft

BLOCK = 1 << 20
M = TypeVar("M", bound=BaseModel)
Endpoint = Callable[[Request], Awaitable[Response]]
Row = tuple[str, Endpoint, list[str]]
"""Path, what answers it, methods."""


def handlers(new_id: Callable[[], str]) -> dict[Any, ExceptionHandler]:
    """Errors as answers; `new_id` names the request in them and in the log."""

    def refused(request: Request, error: Exception) -> Response:
        told = _told(error)
        status = error.status_code if isinstance(error, HTTPException) else told.status
        return JSONResponse({"error": told.as_dict(), "request_id": new_id()}, status)

    def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=499)

    return {FerryError: refused, HTTPException: refused, Exception: refused, ClientDisconnect: gone}


def token_of(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def body_of(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge("LimitExceeded", f"the body is larger than {limit} bytes", "Send it in parts, or as a file.")
        parts.append(chunk)
    return b"".join(parts)


async def receive(request: Request, draft: Draft) -> None:
    """Files go to disk in blocks, off the event loop."""
    block = bytearray()
    async for chunk in request.stream():
        block += chunk
        if len(block) >= BLOCK:
            await run_in_threadpool(draft.write, bytes(block))
            block.clear()
    if block:
        await run_in_threadpool(draft.write, bytes(block))


def read_as(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused("BadRequest", f"{where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Refused("BadRequest", "the body is not JSON") from error


def read_fields(model: type[M], fields: Mapping[str, str]) -> M:
    """The same of a query. Raises Refused(BadRequest)."""
    return read_as(model, json.dumps(dict(fields)).encode())


def _told(error: Exception) -> FerryError:
    """The one error shape for everything; what is not ours by type is our defect, and the log has it."""
    if isinstance(error, FerryError):
        return error
    if isinstance(error, HTTPException):
        return Refused("NotFound" if error.status_code == 404 else "BadRequest", error.detail)
    return Defect("Internal", "the gateway has a defect", "Its log has the story.")
