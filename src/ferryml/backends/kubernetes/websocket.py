"""The client's half of WebSocket (RFC 6455) over one socket, as far as the API server needs it to reach into a pod."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping

from ferryml.domain.errors import Unavailable

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, BINARY, CLOSE, PING, PONG = 0x0, 0x2, 0x8, 0x9, 0xA
MOST_MESSAGE = 16 << 20
MOST_HEAD = 64 * 1024
CONNECT_S = 15.0


class HandshakeError(Exception):
    """The server did not agree: its status and the body of its answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:200]!r}")
        self.status, self.body = status, body


class WebSocket:
    """Binary messages both ways. Reading is for one thread, sending for many. Raises Unavailable when it breaks."""

    def __init__(self, connection: socket.socket, dice: Callable[[int], bytes] = os.urandom) -> None:
        self._socket, self._dice = connection, dice
        self._left = b""
        self._sending = threading.Lock()
        self.protocol = ""

    def shake_hands(self, host: str, path: str, headers: Mapping[str, str], protocols: tuple[str, ...]) -> None:
        """Agrees on one of the protocols. Raises HandshakeError, Unavailable."""
        key = base64.b64encode(self._dice(16))
        said = {
            "Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key.decode(), "Sec-WebSocket-Protocol": ", ".join(protocols), **headers,
        }  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        self._send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        while b"\r\n\r\n" not in self._left:
            if len(self._left) > MOST_HEAD:
                raise Unavailable("ClusterUnreachable", "the cluster answers with something else than a WebSocket")
            self._receive()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        known = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        status = int([*first.split(" "), "0", "0"][1])
        if status != 101:
            raise HandshakeError(status, self._body(int(known.get("content-length") or 0)))
        wanted = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest()).decode()
        self.protocol = known.get("sec-websocket-protocol", "")
        if known.get("sec-websocket-accept") != wanted or self.protocol not in protocols:
            raise Unavailable("ClusterUnreachable", "the cluster's WebSocket does not speak as asked")

    def send(self, data: bytes, kind: int = BINARY) -> None:
        """One whole message."""
        size, mask = len(data), self._dice(4)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 1 << 16 else b""
        length = length or b"\xff" + struct.pack(">Q", size)
        masked = _masked(data, mask)
        with self._sending:
            self._send(bytes([0x80 | kind]) + length + mask + masked)

    def read(self) -> bytes | None:
        """The next message; None when the other side has ended well."""
        message = b""
        while True:
            final, kind, data = self._frame()
            if kind == CLOSE:
                return None
            if kind == PING:
                self.send(data, PONG)
            elif kind != PONG:
                message += data
                if len(message) > MOST_MESSAGE:
                    raise Unavailable("ClusterUnreachable", "a message of the cluster is too large")
                if final:
                    return message

    def close(self) -> None:
        """Says so and hangs up; who reads in another thread hears of it."""
        with contextlib.suppress(Unavailable):
            self.send(b"\x03\xe8", CLOSE)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        if size > MOST_MESSAGE:
            raise Unavailable("ClusterUnreachable", "a message of the cluster is too large")
        mask = self._exactly(4) if second & 0x80 else b""
        data = self._exactly(size)
        return bool(first & 0x80), first & 0x0F, _masked(data, mask) if mask else data

    def _body(self, size: int) -> bytes:
        with contextlib.suppress(Unavailable):
            while len(self._left) < min(size, MOST_HEAD):
                self._receive()
        return self._left[:size]

    def _exactly(self, size: int) -> bytes:
        while len(self._left) < size:
            self._receive()
        data, self._left = self._left[:size], self._left[size:]
        return data

    def _receive(self) -> None:
        try:
            data = self._socket.recv(64 * 1024)
        except (OSError, ValueError) as error:
            raise Unavailable("ClusterUnreachable", f"the connection to the cluster broke: {error}") from error
        if not data:
            raise Unavailable("ClusterUnreachable", "the cluster has hung up")
        self._left += data

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (OSError, ValueError) as error:
            raise Unavailable("ClusterUnreachable", f"the connection to the cluster broke: {error}") from error


def connect(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """A socket to the API server. Raises Unavailable."""
    try:
        plain = socket.create_connection((host, port), CONNECT_S)
        made = tls.wrap_socket(plain, server_hostname=host) if tls is not None else plain
        made.settimeout(None)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        raise Unavailable("ClusterUnreachable", f"the cluster at {host}:{port} does not answer: {error}") from error
    return made


def _masked(data: bytes, mask: bytes) -> bytes:
    if not data:
        return data
    whole = mask * (len(data) // 4 + 1)
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole[: len(data)], "big")).to_bytes(len(data), "big")
