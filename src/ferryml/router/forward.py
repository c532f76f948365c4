"""Asking one instance: a connection of its own for each request, so that nothing is ever silently sent twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ferryml.domain.errors import FerryError
from ferryml.domain.routes import Upstream
from ferryml.router import http1


class Absent(Exception):
    """Nobody listens there; the request was not sent, so another instance may have it."""


class Broken(Exception):
    """The connection ended before the answer did; the request may have been carried out."""


@dataclass(slots=True, frozen=True)
class Answer:
    """What an instance answered, whole."""

    status: int
    reason: str
    headers: http1.Headers
    body: bytes


async def ask(upstream: Upstream, payload: bytes, connect_timeout_s: float, limit: int) -> Answer:
    """Send `payload` and read the whole answer; the caller bounds the time. Raises Absent, Broken."""
    try:
        async with asyncio.timeout(connect_timeout_s):
            reader, writer = await asyncio.open_connection(upstream.host, upstream.port, limit=http1.MAX_HEAD_BYTES)
    except (OSError, TimeoutError) as error:
        raise Absent(str(error)) from error
    return await exchange(reader, writer, payload, limit)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, payload: bytes, limit: int) -> Answer:
    """One request and its answer on a connection that is then closed. Raises Broken."""
    try:
        writer.write(payload)
        await writer.drain()
        return await _read(reader, limit)
    except (OSError, EOFError, FerryError) as error:
        raise Broken(str(error) or type(error).__name__) from error
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, limit: int) -> Answer:
    while True:
        head = await http1.read_head(reader)
        if not head:
            raise Broken("the connection was closed without an answer")
        status, reason, headers = http1.parse_response(head)
        if status >= 200:
            break
    if status in (204, 304):
        return Answer(status, reason, headers, b"")
    length = http1.body_length(headers)
    body = await http1.read_rest(reader, limit) if length == -1 else await http1.read_body(reader, length, limit)
    return Answer(status, reason, headers, body)
