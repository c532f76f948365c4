"""OpenTelemetry spans: the one route of MLflow that is FastAPI's and not Flask's."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI
from mlflow.server.otel_api import otel_router
from starlette.types import ASGIApp, Message, Scope, Send

from ferryml.server.mlflow.wsgi import Request


def spans_app() -> ASGIApp:
    application = FastAPI(openapi_url=None)
    application.include_router(otel_router)
    return application


async def forward(application: ASGIApp, scope: Scope, request: Request, send: Send) -> None:
    """Calls `application` with a request that was read before."""
    bodies: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> Message:
        if bodies:
            return bodies.pop()
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    path = request.path.encode()
    inner: dict[str, Any] = {**scope, "headers": pairs, "path": request.path, "raw_path": path, "root_path": ""}
    await application(inner, receive, send)


def forward_now(application: ASGIApp, request: Request) -> tuple[int, bytes]:
    """The same from a thread without an event loop, with the whole answer."""
    seen: list[MutableMapping[str, Any]] = []

    async def send(message: Message) -> None:
        seen.append(message)

    scope: Scope = {
        "type": "http", "http_version": "1.1", "method": request.method, "query_string": request.query.encode(),
        "scheme": "http", "server": ("ferry", 80), "client": None,
    }  # fmt: skip
    asyncio.run(forward(application, scope, request, send))
    return int(seen[0]["status"]), b"".join(message.get("body", b"") for message in seen)
