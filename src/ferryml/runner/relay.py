"""The door on 127.0.0.1: what a program says in plain HTTP goes to the gateway over TLS, with the pod's token."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import threading
import time
from collections.abc import Callable

from ferryml.runner.line import BLOCK, LONGEST_LINE, UNKNOWN, Address, Answer, Broken, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

OPEN = ("/mlflow/", "/v1/")
HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "host", "content-length", "authorization", "expect")
)  # fmt: skip
REPEATABLE = 1 << 20
"""Bodies up to this many bytes are held, so that they can be sent again."""
PATIENCE_S = 45.0
"""How long a call is tried before the caller hears 503: clients of MLflow wait 120 s for an answer and then repeat."""
PAUSE_S = 0.5
TIMEOUT_S = 300


class Relay:
    """Listens on 127.0.0.1.

    Args:
        port: 0 takes any.
        token: asked for every call.
        open_: how the paths begin that may be asked for.
    """

    def __init__(
        self, url: str, ca: str, token: Callable[[], str], port: int, patience_s: float = PATIENCE_S,
        open_: tuple[str, ...] = OPEN,
    ) -> None:  # fmt: skip
        self._server = _Server(port, lambda: Line(Address(url), TIMEOUT_S, ca), token, patience_s, open_)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, line: Callable[[], Line], token: Callable[[], str], patience_s: float, open_: tuple[str, ...]
    ) -> None:
        self.line, self.token, self.patience_s, self.open = line, token, patience_s, open_
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A program that hangs up in the middle is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._line = self.server.line()

    def finish(self) -> None:
        self._line.close()
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """User programs' calls are their own business."""

    def do_GET(self) -> None:
        if not self.path.startswith(self.server.open):
            self._say(404, "NotFound", f"only {' and '.join(self.server.open)} are here")
            return
        try:
            body, size = self._body()
        except ValueError:
            self.close_connection = True
            self._say(400, "BadRequest", "the length of the body cannot be read")
            return
        try:
            answer = self._ask(body, size)
        except (OSError, ValueError) as error:
            self._line.close()
            self._drop(body)
            self._say(503, "Unavailable", f"the gateway cannot be reached: {error or type(error).__name__}")
            return
        try:
            self._answer(answer)
        finally:
            if not answer.keep:
                self._line.close()
            self._drop(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _body(self) -> tuple[IO[bytes], int]:
        """What the caller sends, and its size; UNKNOWN when only its end will tell."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return io.BufferedReader(_Chunks(self.rfile), BLOCK), UNKNOWN  # type: ignore[arg-type]
        size = int(self.headers.get("Content-Length") or 0)
        if size < 0:
            raise ValueError(size)
        if size <= REPEATABLE:
            return io.BytesIO(self.rfile.read(size)), size
        return io.BufferedReader(_Part(self.rfile, size), BLOCK), size  # type: ignore[arg-type]

    def _ask(self, body: IO[bytes], size: int) -> Answer:
        """Repeats what has surely not arrived, and what may have arrived when saying it twice changes nothing."""
        until = time.monotonic() + self.server.patience_s
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        harmless = isinstance(body, io.BytesIO) and not self.path.endswith("/create")
        while True:
            if not harmless:
                self._line.close()  # a kept connection may have been closed by the other side
            started = False
            try:
                self._line.open()
                headers["Authorization"] = f"Bearer {self.server.token()}"
                started = True
                return self._line.hear(self.command, self._line.say(self.command, self.path, headers, body, size))
            except (OSError, ValueError):
                self._line.close()
                if (started and not harmless) or time.monotonic() > until:
                    raise
            if harmless:
                body.seek(0)
            time.sleep(PAUSE_S)

    def _answer(self, answer: Answer) -> None:
        sized = answer.headers.get("content-length")
        empty = self.command == "HEAD" or answer.status in (204, 304)
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name not in HOP:
                self.send_header(name.title(), value)
        if sized is not None:
            self.send_header("Content-Length", sized)
        elif not empty:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            try:
                block = answer.read()
            except (OSError, ValueError):
                self.close_connection = True  # the caller sees that something is missing
                return
            if not block:
                break
            self.wfile.write(block if sized is not None else b"%x\r\n%b\r\n" % (len(block), block))
        if sized is None and not empty:
            self.wfile.write(b"0\r\n\r\n")

    def _drop(self, body: IO[bytes]) -> None:
        """What was not read of a body would be taken for the next request."""
        if not isinstance(body, io.BytesIO):
            with contextlib.suppress(OSError, ValueError):
                if body.read(1):
                    self.close_connection = True

    def _say(self, status: int, code: str, message: str) -> None:
        error = {"code": code, "message": message, "hint": "", "details": {}}
        theirs = {"error_code": "TEMPORARILY_UNAVAILABLE"} if status == 503 else {}
        data = json.dumps({**theirs, "message": message, "error": error}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", "5")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Part(io.RawIOBase):
    """The next `size` bytes of a stream."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        if not data and self._left:
            raise Broken("the caller sent less than it promised")
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


class _Chunks(io.RawIOBase):
    """A chunked body as plain bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left, self._over = file, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left and not self._over:
            self._left = int(self._file.readline(LONGEST_LINE).split(b";")[0], 16)
            self._over = not self._left
            while self._over and self._file.readline(LONGEST_LINE).strip():
                pass
        if self._over:
            return 0
        data = self._file.read(min(len(buffer), self._left))
        if not data:
            raise Broken("the caller ended in the middle")
        buffer[: len(data)] = data
        self._left -= len(data)
        if not self._left:
            self._file.readline(LONGEST_LINE)
        return len(data)
