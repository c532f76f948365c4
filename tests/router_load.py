"""Callers that never pause: what tests of changes under load need."""

import asyncio
import collections
import ssl
import time

from router_play import KEY, read_answer, until

TLS_NAME = "score.example"
"""What certificates of routers under test are for."""
HEAD = "POST /api/v1/endpoint/digits/score HTTP/1.1\r\nhost: x\r\n"


def eventually(true, limit_s: float = 5) -> None:
    """Wait until `true()` holds, in a test without a loop."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Load:
    """Callers that never pause; a connection is kept until the router closes it between two requests."""

    def __init__(
        self, port: int, callers: int = 8, key: str = KEY, kept: bool = True, tls: ssl.SSLContext | None = None,
        pause_s: float = 0,
    ) -> None:  # fmt: skip
        self.port, self.callers, self.key, self.kept = port, callers, key, kept
        self._way = {"ssl": tls, "server_hostname": TLS_NAME} if tls else {}
        self._pause_s = pause_s
        self.seen: collections.Counter[object] = collections.Counter()
        self.said: list[object] = []
        self._over = False

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._call()) for _ in range(self.callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def more(self, count: int) -> None:
        wanted = sum(self.seen.values()) + count
        await until(lambda: sum(self.seen.values()) >= wanted, 20)

    async def _call(self) -> None:
        while not self._over:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **self._way)
            fresh = True
            while not self._over:
                closing = "" if self.kept else "connection: close\r\n"
                request = f"{HEAD}{closing}authorization: Bearer {self.key}\r\ncontent-length: 3\r\n\r\n[1]"
                try:
                    writer.write(request.encode())
                    said = await asyncio.wait_for(read_answer(reader), 15)
                except (OSError, EOFError):
                    said = None
                if said is None or said.status == 0:
                    if fresh:
                        self.seen["lost"] += 1
                    break
                self.seen[said.status] += 1
                if said.status == 200:
                    self.said.append(said.json)
                await asyncio.sleep(self._pause_s)
                fresh = False
                if said.headers.get("connection") == "close" or not self.kept:
                    break
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Closed for good: TLS waits for the other side's farewell, which one that was killed never says."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 2)
    except (OSError, TimeoutError):
        writer.transport.abort()
