"""The outermost layer: an id for every request, a bound on every body, and no failure without an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryml.domain.errors import FerryError, TooLarge
from ferryml.server import errors

log = logging.getLogger(__name__)
STREAMED = ("/mlflow",)
"""Mounted programs that bound their bodies themselves."""


class Guarded:
    """ASGI middleware around the whole server.

    Args:
        limit: path -> most bytes of a body there; None means that the route bounds it itself.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str], limit: Callable[[str], int | None]) -> None:
        self._app, self._new_id, self._limit = app, new_id, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ident = self._new_id()
        scope["ferry.request_id"] = ident
        begun = False

        async def answered(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", []), (b"x-request-id", ident.encode())]
            await send(message)

        try:
            most = self._limit(scope["path"])
            await self._app(scope, _bounded(scope, receive, most) if most is not None else receive, answered)
        except FerryError as error:
            if begun:
                raise
            await errors.answer(error, ident)(scope, receive, answered)
        except Exception:  # the server's error mapper: whatever happens is logged and answered once
            log.exception("request %s failed: %s %s", ident, scope["method"], scope["path"])
            if begun:
                raise
            await errors.defect(ident)(scope, receive, answered)


def _bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _too_large(most)
        return message

    return counted


def _too_large(most: int) -> TooLarge:
    return TooLarge("LimitExceeded", f"a request may have at most {most} bytes here", "Upload files as artifacts.")
