"""HTTP/1.1 over one kept connection: loading the standard library's client would double the time to start of a job."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import IO

BLOCK = 1 << 20
LONGEST_LINE = 64 * 1024
MOST_HEADERS = 200
UNKNOWN = -1
"""Size of a body whose end only its reader knows."""
CONNECT_S = 10.0
STEADY = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4), ("TCP_USER_TIMEOUT", 30_000))
"""A gateway that vanished without a word, with its node or its pod's network, is noticed within 30 s (tcp(7))."""


class Broken(OSError):
    """What arrived is no HTTP, or it ended too early."""


class Address:
    """Parts of `http://HOST:PORT/BASE` or `https://...`."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.tls = scheme == "https"
        place, _, base = rest.partition("/")
        host, colon, port = place.rpartition(":")
        self.host = (host if colon else place).strip("[]")
        self.port = int(port) if colon else 443 if self.tls else 80
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
    """A connection that is opened when needed, and found dead when the other side has vanished.

    Args:
        timeout_s: longest wait for a part of an answer.
        ca: PEM file of the authorities that an https address is checked against; "": those of the system.
    """

    def __init__(self, address: Address, timeout_s: float, ca: str = "") -> None:
        self._address, self._timeout, self._ca = address, timeout_s, ca
        self._socket: socket.socket | None = None
        self._file: IO[bytes] | None = None

    def ask(self, verb: str, path: str, headers: dict[str, str], body: bytes | IO[bytes], size: int) -> Answer:
        """Sends a request with a body of `size` bytes and reads the head of its answer. Raises OSError."""
        self.open()
        return self.hear(verb, self.say(verb, path, headers, body, size))

    def open(self) -> None:
        """Connects unless it is connected. Raises OSError."""
        if self._socket is not None:
            return
        where = (self._address.host, self._address.port)
        plain = socket.create_connection(where, timeout=min(CONNECT_S, self._timeout))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in STEADY:
                if hasattr(socket, name):  # not every system has all of them
                    plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            self._socket = trust(self._ca).wrap_socket(plain, server_hostname=where[0]) if self._address.tls else plain
            self._socket.settimeout(self._timeout)
        except BaseException:
            plain.close()
            raise
        self._file = self._socket.makefile("rb")

    def say(self, verb: str, path: str, headers: dict[str, str], body: bytes | IO[bytes], size: int) -> bool:
        """Sends a request; False when the other side did not want all of the body."""
        assert self._socket is not None  # noqa: S101 - `open` comes first; this tells the type checker
        length = {"Transfer-Encoding": "chunked"} if size == UNKNOWN else {"Content-Length": str(size)}
        known = {"Host": self._address.place, **length, **headers}
        lines = [f"{verb} {self._address.base}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in known.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return self._send(self._socket, head, body, size == UNKNOWN)

    def hear(self, verb: str, whole: bool = True) -> Answer:
        """Reads the head of the answer; after half a body the connection is not kept."""
        assert self._file is not None  # noqa: S101 - `open` comes first; this tells the type checker
        answer = Answer(self._file, verb == "HEAD")
        answer.keep = answer.keep and whole
        return answer

    def close(self) -> None:
        for thing in (self._file, self._socket):
            if thing is not None:
                thing.close()
        self._file = self._socket = None

    def _send(self, line: socket.socket, head: bytes, body: bytes | IO[bytes], chunked: bool) -> bool:
        if isinstance(body, bytes):
            line.sendall(head + body)
            return True
        line.sendall(head)
        while True:
            block = body.read(BLOCK)
            data = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
            try:
                line.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                # It may have answered without wanting all of it: the answer says why.
                return False
            if not block:
                return True


def trust(ca: str) -> ssl.SSLContext:
    """What a TLS connection is checked against; read once for each file."""
    if ca not in _TRUSTED:
        # Loaded here alone: TLS and what belongs to it would double the time to start of every local job.
        _TRUSTED[ca] = importlib.import_module("ssl").create_default_context(cafile=ca or None)
    return _TRUSTED[ca]


_TRUSTED: dict[str, ssl.SSLContext] = {}


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
