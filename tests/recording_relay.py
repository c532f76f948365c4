"""A link that a test can read: TLS ends here and begins anew towards the server, and what a site sends is kept."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path

PIECE = 1 << 16


class RecordingRelay:
    """Listens on a free port of 127.0.0.1 with the server's own certificate; `sent` is what came from the site.

    One loop in one thread: an OpenSSL connection is not for a reader and a writer at once.
    """

    def __init__(self, port: int, chain: Path, key: Path, authority: Path) -> None:
        self._target = port
        self._inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inward.load_cert_chain(chain, key)
        self._outward = ssl.create_default_context(cafile=str(authority))
        self._sent = bytearray()
        self._lock = threading.Lock()
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recording-relay", daemon=True)
        self._thread.start()
        server = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._inward)
        self._server = asyncio.run_coroutine_threadsafe(server, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def sent(self, since: int = 0) -> bytes:
        """Everything that went to the server, in plain text, from that byte on."""
        with self._lock:
            return bytes(self._sent[since:])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        """Whoever is connected is cut off."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        if passing := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(passing, timeout=5)

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._open.add(back)
        with contextlib.suppress(OSError):
            far, on = await asyncio.open_connection(
                "127.0.0.1", self._target, ssl=self._outward, server_hostname="127.0.0.1"
            )
            self._open.add(on)
            await asyncio.gather(self._pass(near, on, True), self._pass(far, back, False))
            self._open.discard(on)
        self._open.discard(back)
        back.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bool) -> None:
        """When one side ends, so does the other: TLS knows no half of a connection."""
        with contextlib.suppress(OSError):
            while data := await source.read(PIECE):
                if keep:
                    with self._lock:
                        self._sent += data
                target.write(data)
                await target.drain()
        target.close()
