"""A link that a test can read: TLS ends here and begins anew towards the server, and what a site sends is kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path

PIECE = 1 << 16
PATIENCE_S = 120


class RecordingRelay:
    """Listens on a free port of 127.0.0.1 with the server's own certificate; `sent` is what came from the site."""

    def __init__(self, port: int, chain: Path, key: Path, authority: Path) -> None:
        self._target = port
        self._inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inward.load_cert_chain(chain, key)
        self._outward = ssl.create_default_context(cafile=str(authority))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._sent = bytearray()
        self._lock = threading.Lock()
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def sent(self, since: int = 0) -> bytes:
        """Everything that went to the server, in plain text, from that byte on."""
        with self._lock:
            return bytes(self._sent[since:])

    def close(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        while self._open:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            inside = stack.enter_context(self._inward.wrap_socket(near, server_side=True))
            far = stack.enter_context(socket.create_connection(("127.0.0.1", self._target), 10))
            outside = stack.enter_context(self._outward.wrap_socket(far, server_hostname="127.0.0.1"))
            for end in (inside, outside):
                end.settimeout(PATIENCE_S)
            back = threading.Thread(target=self._pass, args=(outside, inside, False), daemon=True)
            back.start()
            self._pass(inside, outside, True)
            back.join(PATIENCE_S)

    def _pass(self, source: ssl.SSLSocket, target: ssl.SSLSocket, keep: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := source.recv(PIECE):
                if keep:
                    with self._lock:
                        self._sent += data
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
