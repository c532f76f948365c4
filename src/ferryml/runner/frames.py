"""How two pods of one attempt speak: both prove that they know the group's secret, and every word is signed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import socket
import struct
import threading

LONGEST = 1 << 20
HELLO_LIMIT_S = 20
_NONCE = 32
_HEAD = struct.Struct(">cI")
_SIGN = hashlib.sha256().digest_size


class Stranger(Exception):
    """The other side does not know the secret, or its words were altered."""


class Talk:
    """A connection after both sides have proved themselves; frames are (kind, data). Sending is safe between threads.

    Args:
        caller: True for the side that connected.
        about: what both sides must mean, e.g. the index of the pod that is called.
    """

    def __init__(self, line: socket.socket, secret: str, caller: bool, about: str) -> None:
        self._line, self._lock = line, threading.Lock()
        line.settimeout(HELLO_LIMIT_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        mine = os.urandom(_NONCE)
        line.sendall(mine)
        theirs = self._exactly(_NONCE)
        first, second = (mine, theirs) if caller else (theirs, mine)
        key = hmac.new(secret.encode(), b"%s\0%s\0%s" % (first, second, about.encode()), hashlib.sha256).digest()
        self._out, self._in = (b"caller", b"called") if caller else (b"called", b"caller")
        self._key, self._sent, self._heard = key, 0, 0
        self.send(b"h")
        if self.hear()[0] != b"h":
            raise Stranger("the other side did not greet")
        line.settimeout(None)

    def send(self, kind: bytes, data: bytes = b"") -> None:
        with self._lock:
            body = _HEAD.pack(kind, len(data)) + data
            sign = self._sign(self._out, self._sent, body)
            self._sent += 1
            self._line.sendall(body + sign)

    def hear(self) -> tuple[bytes, bytes]:
        """The next frame. Raises OSError at the end, Stranger for what was not signed."""
        head = self._exactly(_HEAD.size)
        kind, size = _HEAD.unpack(head)
        if size > LONGEST:
            raise Stranger("a frame is too long")
        data = self._exactly(size)
        if not hmac.compare_digest(self._exactly(_SIGN), self._sign(self._in, self._heard, head + data)):
            raise Stranger("the other side does not know the secret")
        self._heard += 1
        return kind, data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()

    def _sign(self, side: bytes, number: int, body: bytes) -> bytes:
        return hmac.new(self._key, b"%s %d " % (side, number) + body, hashlib.sha256).digest()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._line.recv(size - len(data))
            if not more:
                raise ConnectionError("the other pod hung up")
            data += more
        return data
