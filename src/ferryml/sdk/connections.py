"""A shell in a running job, as calls: open, say, hear, close. What the bytes mean is in `domain/connection.py`."""

from __future__ import annotations

import base64
from urllib.parse import quote

from ferryml.sdk.flow import Flow, Json, get, send
from ferryml.sdk.flows import below


def connect(workspace: str, job: str, ask: Json) -> Flow[Json]:
    """`{id, site, expires_at}` of a new connection; `ask` is a ConnectionAsk as JSON."""
    return send("POST", below(workspace, "jobs", quote(job, safe=""), "connections"), ask)


def say(workspace: str, connection: str, offset: int, data: bytes) -> Flow[Json]:
    """Bytes for the job's end, which begin at `offset` of all that was said; may be repeated."""
    piece = {"offset": offset, "data": base64.b64encode(data).decode()}
    return send("POST", below(workspace, "connections", connection, "in"), piece)


def hear(workspace: str, connection: str, offset: int, wait_s: float) -> Flow[tuple[bytes, bool]]:
    """(bytes from `offset` on, whether nothing more will come); waits for some."""
    piece = yield from get(below(workspace, "connections", connection, "out"), offset=offset, wait=wait_s)
    return base64.b64decode(piece["data"]), bool(piece["over"])


def close(workspace: str, connection: str) -> Flow[None]:
    """End it."""
    yield from send("DELETE", below(workspace, "connections", connection))
