"""A web server that answers as it is told, by path; also a proxy, for which paths are whole addresses."""

from __future__ import annotations

import http.server
import threading
from typing import Any


class Quiet(http.server.ThreadingHTTPServer):
    """Callers that hang up are no news."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


class Web:
    """Answers by path, else by `default`; `asked` holds (path, authorization), `bodies` what was posted."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.default: tuple[int, dict[str, str], bytes] = (404, {}, b"")
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                return

            def do_GET(self) -> None:
                web.asked.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = web.answers.get(self.path, web.default)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                web.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                self.do_GET()

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
