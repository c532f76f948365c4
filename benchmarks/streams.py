"""The loopback's own speed: bytes through a bare socket, and through a bare HTTP server, to compare with."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

CHUNK = 4 << 20


def sink(data: bytes) -> None:
    """Sends all of it through a loopback socket to a reader that throws it away; returns when it was read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader = threading.Thread(target=_drink, args=(listener,), daemon=True)
        reader.start()
        with socket.create_connection(listener.getsockname()) as out:
            out.sendall(data)
        reader.join(120)


def pieces(data: bytes) -> Iterator[bytes]:
    """As the SDK sends them."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def _drink(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        buffer = bytearray(1 << 20)
        while connection.recv_into(buffer):
            pass


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """PUT: reads and throws away. GET /SIZE: that many bytes."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    left = int(scope["path"][1:]) if scope["method"] == "GET" else 0
    block = bytes(1 << 20)
    while left > 0:
        await send({"type": "http.response.body", "body": block[:left], "more_body": True})
        left -= len(block)
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """`python -m benchmarks.streams`: the bare server as a program of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    print("ready", f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(bare, log_level="warning", access_log=False, lifespan="off")).run([listener])


if __name__ == "__main__":
    sys.exit(main())
