"""HTTP/1.1 over one kept connection: loading the standard library's client would double the time to start of a job."""

from __future__ import annotations

import socket
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

BLOCK = 1 << 20
LONGEST_LINE = 64 * 1024
MOST_HEADERS = 200


class Broken(OSError):
    """What arrived is no HTTP, or it ended too early."""


class Address:
    """Parts of `http://HOST:PORT/BASE`."""

    def __init__(self, url: str) -> None:
        rest = url.partition("://")[2]
        place, _, base = rest.partition("/")
        host, colon, port = place.rpartition(":")
        self.host = (host if colon else place).strip("[]")
        self.port = int(port) if colon else 80
        self.place = place
        self.base = ("/" + base).rstrip("/")


class Answer:
    """One answer; `read` must have given b"" before the connection is used again."""

    def __init__(self, file: IO[bytes], head_only: bool = False) -> None:
        self._file = file
        self.status, self.headers = _head(file)
        while 100 <= self.status < 200:
            self.status, self.headers = _head(file)
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        empty = head_only or self.status in (204, 304)
        self._left: int | None = 0 if empty else int(length) if length is not None and not self._chunked else None
        self._pieces = self._chunks() if self._chunked and not empty else None
        self.keep = self.headers.get("connection", "").lower() != "close" and (self._left is not None or self._chunked)

    def read(self) -> bytes:
        """The next piece of the body; b"" at its end. Raises Broken when it was cut off."""
        if self._pieces is not None:
            return next(self._pieces, b"")
        if self._left == 0:
            return b""
        data = self._file.read(BLOCK if self._left is None else min(BLOCK, self._left))
        if self._left is not None:
            if not data:
                raise Broken(f"{self._left} bytes did not arrive")
            self._left -= len(data)
        return data

    def read_all(self, limit: int) -> bytes:
        """The whole body; Broken when it is larger than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while True:
            data = self.read()
            if not data:
                return b"".join(pieces)
            size += len(data)
            if size > limit:
                raise Broken(f"the answer is larger than {limit} bytes")
            pieces.append(data)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            left = int(_line(self._file).split(b";")[0], 16)
            if left == 0:
                while _line(self._file):
                    pass
                return
            while left:
                data = self._file.read(min(BLOCK, left))
                if not data:
                    raise Broken("the answer ended in the middle")
                left -= len(data)
                yield data
            _line(self._file)


class Line:
    """A connection that is opened when needed."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._timeout = address, timeout_s
        self._socket: socket.socket | None = None
        self._file: IO[bytes] | None = None

    def ask(self, verb: str, path: str, headers: dict[str, str], body: bytes | IO[bytes], size: int) -> Answer:
        """Sends a request with a body of `size` bytes and reads the head of its answer. Raises OSError."""
        if self._socket is None or self._file is None:
            where = (self._address.host, self._address.port)
            self._socket = socket.create_connection(where, timeout=self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._socket.makefile("rb")
        known = {"Host": self._address.place, "Content-Length": str(size), **headers}
        lines = [f"{verb} {self._address.base}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in known.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._send(self._socket, head, body)
        return Answer(self._file, verb == "HEAD")

    def close(self) -> None:
        for thing in (self._file, self._socket):
            if thing is not None:
                thing.close()
        self._file = self._socket = None

    def _send(self, line: socket.socket, head: bytes, body: bytes | IO[bytes]) -> None:
        if isinstance(body, bytes):
            line.sendall(head + body)
            return
        line.sendall(head)
        try:
            while True:
                block = body.read(BLOCK)
                if not block:
                    return
                line.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            # It may have answered without wanting all of it: the answer says why.
            return


def quoted(text: str) -> str:
    """Percent-encoded for a query."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode())


def _head(file: IO[bytes]) -> tuple[int, dict[str, str]]:
    words = _line(file).split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise Broken("this is no HTTP")
    headers: dict[str, str] = {}
    for _ in range(MOST_HEADERS):
        line = _line(file)
        if not line:
            return int(words[1]), headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raise Broken("too many headers")


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise Broken("the connection was closed")
    return line.rstrip(b"\r\n")
