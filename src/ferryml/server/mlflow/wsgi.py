"""Calls MLflow's Flask application from ASGI: whole requests in, streamed answers out."""

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.from_thread import run as in_loop

Send = Callable[[Any], Any]
Pair = tuple[bytes, bytes]
_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """One request below /mlflow, read to its end."""

    method: str
    path: str
    """Decoded, starts with a slash."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    body: bytes = b""
    mount: str = ""
    """Where MLflow is mounted, `/mlflow`."""


def environ(request: Request) -> dict[str, Any]:
    """PEP 3333: text of the request line is Latin-1 that stands for UTF-8 bytes."""
    variables: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": request.mount.encode().decode("latin-1"),
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "ferry",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in ("content-length", "content-type"):
            variables["HTTP_" + name.upper().replace("-", "_")] = value
    return variables


@dataclass
class Answer:
    """What the application began to answer."""

    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name, value) for name, value in headers if name.lower() not in _HOP]
        return _unbuffered


def _unbuffered(_: bytes) -> None:
    raise NotImplementedError("Flask answers through its iterable")


def call(application: Any, request: Request) -> tuple[Answer, Iterable[bytes]]:
    """The caller closes the iterable when it has a `close`."""
    answer = Answer()
    return answer, application(environ(request), answer.start)


def call_whole(application: Any, request: Request) -> tuple[Answer, bytes]:
    answer, chunks = call(application, request)
    try:
        return answer, b"".join(chunks)
    finally:
        _close(chunks)


async def respond(application: Any, request: Request, send: Send, limiter: anyio.CapacityLimiter) -> None:
    """Runs the application in a worker thread, which inherits whose workspace this is."""

    def work() -> None:
        answer, chunks = call(application, request)
        try:
            pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
            in_loop(send, {"type": "http.response.start", "status": answer.status, "headers": pairs})
            for chunk in chunks:
                in_loop(send, {"type": "http.response.body", "body": chunk, "more_body": True})
            in_loop(send, {"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            _close(chunks)

    await anyio.to_thread.run_sync(work, limiter=limiter)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
