"""The server's half of a WebSocket, as an API server speaks it: one connection, told what to say."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class PlayServerSocket:
    """Accepts one client; `refuse` answers the handshake with a status instead."""

    def __init__(self, protocol: str = "v5.channel.k8s.io", refuse: tuple[int, bytes] | None = None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.request, self.protocol, self._refuse = "", protocol, refuse
        self._left = b""
        self.ready = threading.Event()
        self.connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        try:
            self.connection, _ = self._listening.accept()
        except OSError:
            return  # closed before anybody came
        while b"\r\n\r\n" not in self._left:
            self._left += self.connection.recv(4096)
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        self.request = head.decode()
        if self._refuse is not None:
            status, body = self._refuse
            self.connection.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        else:
            key = self.header("Sec-WebSocket-Key").encode()
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
            said = f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {self.protocol}\r\n"
            self.connection.sendall(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{said}\r\n".encode()
            )
        self.ready.set()

    def header(self, name: str) -> str:
        lines = (line.partition(": ") for line in self.request.split("\r\n"))
        return next((value for key, _, value in lines if key.lower() == name.lower()), "")

    def say(self, data: bytes, kind: int = 2, final: bool = True) -> None:
        size = len(data)
        if size < 126:
            length = bytes([size])
        elif size < 1 << 16:
            length = b"\x7e" + struct.pack(">H", size)
        else:
            length = b"\x7f" + struct.pack(">Q", size)
        self.connection.sendall(bytes([(0x80 if final else 0) | kind]) + length + data)

    def hear(self) -> tuple[int, bytes]:
        """(kind, data) of the client's next frame, which must be masked."""
        first, second = self._exactly(2)
        assert second & 0x80, "clients mask what they say"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        mask = self._exactly(4)
        return first & 0x0F, bytes(byte ^ mask[n % 4] for n, byte in enumerate(self._exactly(size)))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)
        if self.connection is not None:
            self.connection.close()

    def _exactly(self, size: int) -> bytes:
        while len(self._left) < size:
            data = self.connection.recv(65536)
            assert data, "the client hung up"
            self._left += data
        data, self._left = self._left[:size], self._left[size:]
        return data
