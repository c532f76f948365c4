"""Servers of raw bytes on 127.0.0.1: ones that answer as slowly, or as long, as told, and a proxy that tunnels."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Raw:
    """Hands each connection to `answer(socket)` in a thread of its own; `connections` counts them."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def only_mine(self) -> bool:
        """Connects, and says whether it was the first to come: they are taken in order."""
        with socket.create_connection(("127.0.0.1", self.port), 5):
            while not self.connections:
                threading.Event().wait(0.005)
            return self.connections == 1

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, suppress(OSError):
            self._answer(caller)


def head(caller: socket.socket) -> str:
    """The request's line and headers."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = caller.recv(4096)
        if not piece:
            break
        read += piece
    return read.partition(b"\r\n\r\n")[0].decode()


def trickle(piece: bytes, first: bytes = b"") -> Callable[[socket.socket], None]:
    """An answer that begins with `first` and then comes piece by piece, for ten seconds."""

    def answer(caller: socket.socket) -> None:
        head(caller)
        caller.sendall(first)
        for _ in range(200):
            caller.sendall(piece)
            threading.Event().wait(0.05)

    return answer


class Tunnel(Raw):
    """A proxy for CONNECT: every name leads to 127.0.0.1; `asked` holds the requests' heads."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(self._connect)

    def _connect(self, caller: socket.socket) -> None:
        said = head(caller)
        self.asked.append(said)
        port = int(said.split()[1].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as there:
            caller.sendall(b"HTTP/1.1 200 go\r\n\r\n")
            back = threading.Thread(target=_copy, args=(there, caller), daemon=True)
            back.start()
            _copy(caller, there)
            back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
