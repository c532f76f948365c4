"""What nobody waits for: sends copies to shadows, compares answers, notes predictions.

The router writes samples into a ring in passing and never reads from here: slow or dead, this harms no request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ferryml.domain import predictions
from ferryml.domain.counters import Counters
from ferryml.domain.routes import EndpointRoute, RevisionRoute, RouterTable
from ferryml.router.forward import Answer, Broken, exchange
from ferryml.router.haproxy.copies import Copy, read_copy, request_of
from ferryml.router.haproxy.edge import MAX_CAPTURE_BYTES
from ferryml.router.haproxy.records import Spool
from ferryml.router.haproxy.shape import backend_name
from ferryml.router.tally import Tally

_MOST_CAPTURED = 20_000
_AGAIN_S = 0.1

Captured = tuple[str, str, str, str]
"""(uid, request id, revision, prediction as JSON)."""


@dataclass(slots=True)
class _Shadow:
    route: RevisionRoute
    tally: Tally
    waiting: deque[tuple[float, Copy]] = field(default_factory=deque)
    running: int = 0

    @property
    def places(self) -> int:
        return self.route.max_concurrent_requests * max(1, len(self.route.upstreams))

    @property
    def patience_s(self) -> float:
        return max(self.route.request_timeout_ms, self.route.max_queue_wait_ms) / 1000 + 1


@dataclass(frozen=True, slots=True)
class TapLimits:
    """`queue`: copies waiting or under way for one shadow."""

    queue: int = 256
    answer_bytes: int = 4 * 1024**2


class Tap:
    """Lives on one event loop. `inner` is the socket of HAProxy's inner tier; without a spool nothing is recorded."""

    def __init__(
        self, inner: str, boot: str, draw: Callable[[], float], limits: TapLimits, spool: Spool | None = None
    ) -> None:
        self._inner = inner
        self._boot = boot
        self._draw = draw
        self._limits = limits
        self._spool = spool
        self._endpoints: dict[str, EndpointRoute] = {}
        self._revisions: dict[str, RevisionRoute] = {}
        self._shadows: dict[str, _Shadow] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._captured: deque[Captured] = deque(maxlen=_MOST_CAPTURED)
        self._server: asyncio.Server | None = None

    def use(self, table: RouterTable) -> None:
        """From now on; copies under way are not disturbed."""
        self._endpoints, self._revisions = {}, {}
        for endpoint in table.endpoints:
            for revision in endpoint.revisions:
                name = backend_name(endpoint.name, revision.revision)
                self._endpoints[name], self._revisions[name] = endpoint, revision
                if revision.revision in endpoint.mirror:
                    known = self._shadows.setdefault(name, _Shadow(revision, Tally(self._boot)))
                    known.route = revision
                    self._fill(name)
        for name in [name for name in self._shadows if name not in self._revisions]:
            del self._shadows[name]

    def take(self, line: bytes) -> None:
        """One line of the router."""
        copy = read_copy(line)
        endpoint = self._endpoints.get(copy.backend) if copy else None
        if copy is None or endpoint is None:
            return
        if self._revisions[copy.backend].capture and copy.answer and len(copy.answer) <= MAX_CAPTURE_BYTES:
            with suppress(ValueError):
                predicted = json.dumps(predictions.prediction(copy.answer))
                self._captured.append((endpoint.uid, copy.request_id, copy.revision, predicted))
        if copy.recorded and self._spool is not None:
            self._spool.put(endpoint, self._revisions[copy.backend], copy)
        if copy.mirrored:
            self._mirror(endpoint, copy)

    def counters(self) -> dict[str, Counters]:
        """Backend -> totals of copies since this program started."""
        return {name: shadow.tally.totals() for name, shadow in self._shadows.items()}

    def captured(self) -> list[Captured]:
        """Predictions since the last call."""
        found = list(self._captured)
        self._captured.clear()
        return found

    async def start(self, path: str) -> None:
        """Listen for the sidecar: it sends `T TABLE`, `C LINE` and `L`, and gets JSON for each `L`."""
        self._server = await asyncio.start_unix_server(self._serve, path, limit=1024**2)
        Path(path).chmod(0o600)

    async def stop(self) -> None:
        """Copies under way are given up."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        with suppress(OSError):
            while data := await reader.read(1024**2):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._hear(line, writer)
                await writer.drain()
        writer.close()

    def _hear(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        match line[:1]:
            case b"C":
                self.take(line[2:])
            case b"T":
                self.use(RouterTable.model_validate_json(line[2:]))
            case b"L":
                writer.write(self._told() + b"\n")

    def _told(self) -> bytes:
        counters = {name: one.model_dump(mode="json") for name, one in self.counters().items()}
        return json.dumps({"counters": counters, "captured": self.captured()}).encode()

    def _mirror(self, endpoint: EndpointRoute, copy: Copy) -> None:
        most = max(endpoint.mirror.values(), default=0)
        for revision, percent in endpoint.mirror.items():
            name = backend_name(endpoint.name, revision)
            shadow = self._shadows.get(name)
            if shadow is None or revision == copy.revision or self._draw() * most >= percent:
                continue
            full = shadow.running + len(shadow.waiting) >= self._limits.queue
            if full or copy.body is None or copy.answer is None:
                shadow.tally.mirror_dropped += 1
                continue
            shadow.waiting.append((time.monotonic(), copy))
            self._fill(name)

    def _fill(self, name: str) -> None:
        shadow = self._shadows[name]
        while shadow.waiting and shadow.running < shadow.places:
            since, copy = shadow.waiting.popleft()
            if time.monotonic() - since > shadow.patience_s:
                shadow.tally.mirror_dropped += 1
                continue
            shadow.running += 1
            task = asyncio.get_running_loop().create_task(self._send(name, shadow, since, copy))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, name: str, shadow: _Shadow, since: float, copy: Copy) -> None:
        try:
            payload, began = request_of(copy, name), time.monotonic()
            while (answer := await self._ask(shadow, payload)) and _was_full(answer):
                if time.monotonic() - since > shadow.patience_s:
                    shadow.tally.mirror_dropped += 1
                    return
                await asyncio.sleep(_AGAIN_S)
                began = time.monotonic()
            shadow.tally.copied((time.monotonic() - began) * 1000, _verdict(copy, answer))
        finally:
            shadow.running -= 1
            if self._shadows.get(name) is shadow:
                self._fill(name)

    async def _ask(self, shadow: _Shadow, payload: bytes) -> Answer | None:
        try:
            async with asyncio.timeout(shadow.patience_s + shadow.route.request_timeout_ms / 1000):
                reader, writer = await asyncio.open_unix_connection(self._inner, limit=1024**2)
                return await exchange(reader, writer, payload, self._limits.answer_bytes)
        except (OSError, TimeoutError, Broken):
            return None


def _was_full(answer: Answer) -> bool:
    return answer.status == 503 and b"QueueWaitExceeded" in answer.body[:200]


def _verdict(copy: Copy, answer: Answer | None) -> predictions.Likeness | None:
    if answer is None or answer.status >= 500:
        return None
    return predictions.compare(copy.answer or b"", answer.body) if answer.status == 200 else predictions.DIFFERENT
