"""Bytes over HTTP: whole bodies within their limit, ranges, and answers that stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response, StreamingResponse

from ferryml.domain.errors import Refused

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
BINARY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""For `openapi_extra` of routes that take raw bytes."""


async def whole(request: Request) -> bytes:
    """The body as it came; its size was bounded on the way in."""
    return await request.body()


Raw = Annotated[bytes, Depends(whole)]
Range = Annotated[str | None, Header(max_length=100)]
Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**63 - 1)]


def answer(size: int, wanted: str | None, read: Callable[[int, int], Iterator[bytes]], head: bool = False) -> Response:
    """A blob or the part of it that a Range header names. Raises Refused `BadRequest` for a range outside of it."""
    start, end = _span(wanted, size)
    headers = {"Content-Length": str(end - start), "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    partial = wanted is not None
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status, kind = (206 if partial else 200), "application/octet-stream"
    if head:
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(read(start, end), status, headers, media_type=kind)


def _span(wanted: str | None, size: int) -> tuple[int, int]:
    if wanted is None:
        return 0, size
    found = _RANGE.fullmatch(wanted.strip())
    start = int(found[1]) if found else 0
    end = min(int(found[2]) + 1, size) if found and found[2] else size
    if not found or start >= end:
        raise Refused("BadRequest", f"range {wanted!r} is outside of {size} bytes", "Write bytes=FIRST-LAST.")
    return start, end
