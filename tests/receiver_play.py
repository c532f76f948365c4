"""A receiver of webhooks as somebody else would write it: a web server that remembers what was posted to it."""

from __future__ import annotations

import http.server
import threading
from typing import Any

from ferryml.testing.posts import Posted


class Receiver:
    """Listens on 127.0.0.1 until `close`; `answer` is the status that it gives."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[Posted] = []
        self.answer = 204
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                return

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append(Posted(self.path, body, headers))
                self.send_response(receiver.answer)
                self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_port)
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
