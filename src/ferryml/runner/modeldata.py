"""The door for what scoring scripts collect: `POST /modeldata/log` on 127.0.0.1, as azureml-ai-monitoring sends it.

It answers at once, whatever becomes of the record: the package's own queue is short, and a full one fails the script.
"""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable

from ferryml.runner.modelrecords import MAX_BODY, Records, Target, event_of, folder_at

PATH = "/modeldata/log"
TIMEOUT_S = 30
MOST_DISCARDED = 64 << 20
"""Bytes of a body that are read only to answer properly."""
BLOCK = 1 << 16
TYPE_CHECKING = False
if TYPE_CHECKING:
    Who = Callable[[str], "Target | None"]
    """Whose record it is, by the header Authorization; None for strangers."""


class ModelData:
    """Listens from the beginning, in a thread of its own.

    Args:
        door: a socket that listens.
        now: seconds since 1970.
    """

    def __init__(self, door: socket.socket, who: Who, records: Records, now: Callable[[], float]) -> None:
        self._server = _Server(door, who, records, now)
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="model-data", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, door: socket.socket, who: Who, records: Records, now: Callable[[], float]) -> None:
        self.who, self.records, self.now = who, records, now
        self.reading = threading.Lock()
        """One body is taken apart at a time: its objects need far more memory than its bytes."""
        super().__init__(door.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = door
        self.server_address = door.getsockname()[:2]
        self.server_port = int(door.getsockname()[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A script that hangs up in the middle is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = TIMEOUT_S
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """The records themselves are the log."""

    def do_GET(self) -> None:
        self._say(404, f"only POST {PATH} is here")

    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_GET

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length") or ""
        if not size.isascii() or not size.isdigit():
            self.close_connection = True
            self._say(411, "the length of the record is not said")
            return
        body = self._body(int(size))
        if self.path != PATH:
            self._say(404, f"only POST {PATH} is here")
            return
        target = self.server.who(self.headers.get("Authorization") or "")
        if target is None:
            self._say(401, "this program may not collect here")
            return
        self._take(target, body)

    def _take(self, target: Target, body: bytes | None) -> None:
        now = self.server.now()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.reading:
            found = event_of(target, headers, body, now)
        if found is None:
            self._say(404, "the deployment's data_collector has no such collection")
            return
        collection, line = found
        if self.server.records.offer((target.uid, target.deployment, collection, folder_at(target, now)), line):
            self._say(200, "")
        else:
            self._say(429, "too many records wait for the site's gateway; this one is dropped")

    def _body(self, size: int) -> bytes | None:
        """None when it is too large to be kept."""
        if size <= MAX_BODY:
            return self.rfile.read(size)
        left = size if size <= MOST_DISCARDED else 0
        self.close_connection = self.close_connection or not left
        while left:
            block = self.rfile.read(min(left, BLOCK))
            if not block:
                break
            left -= len(block)
        return None

    def _say(self, status: int, words: str) -> None:
        data = json.dumps({"message": words}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
