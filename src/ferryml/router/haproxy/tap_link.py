"""The sidecar's end of the tap: hands over what the router wrote and never waits; what does not fit is dropped."""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pydantic import ValidationError

from ferryml.domain.counters import Counters
from ferryml.domain.routes import RouterTable

_MOST_PENDING = 32 * 1024**2
_AGAIN_S = 0.25


class TapLink:
    """A thread that talks to the tap's socket, and tries again while there is none.

    `told` gets the tap's counters by backend, `captured` each prediction as (uid, request id, revision, JSON).
    """

    def __init__(
        self,
        path: str,
        told: Callable[[dict[str, Counters]], None],
        captured: Callable[[str, str, str, str], None],
        period_s: float = 0.25,
    ) -> None:
        self._path, self._told, self._captured, self._period_s = path, told, captured, period_s
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._table = b""
        self._over = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="router-tap-link", daemon=True)
        self.dropped = 0
        """Lines that were lost because the tap was slow or away."""
        self.connected = threading.Event()

    def start(self) -> None:
        """Begin to look for the tap."""
        self._thread.start()

    def stop(self) -> None:
        """The tap lives on."""
        self._over.set()
        self._nudge()
        self._thread.join(5)
        self._wake.close()
        self._waker.close()

    def use(self, table: RouterTable) -> None:
        """Tell the tap the table; it learns it before any later line."""
        told = b"T " + table.model_dump_json().encode() + b"\n"
        with self._lock:
            self._table = told
            if self.connected.is_set():
                self._pending += told
        self._nudge()

    def offer(self, lines: list[bytes]) -> None:
        """Lines of the ring; never blocks."""
        with self._lock:
            if not self.connected.is_set() or len(self._pending) > _MOST_PENDING:
                self.dropped += len(lines)
                return
            for line in lines:
                self._pending += b"C " + line + b"\n"
        self._nudge()

    def _nudge(self) -> None:
        with suppress(OSError):
            self._waker.send(b"x")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with socket.socket(socket.AF_UNIX) as tap:
                    tap.settimeout(2)
                    tap.connect(self._path)
                    tap.setblocking(False)
                    with self._lock:
                        self._pending = bytearray(self._table)
                        self.connected.set()
                    self._talk(tap)
            except OSError:
                pass
            self.connected.clear()
            self._over.wait(_AGAIN_S)

    def _talk(self, tap: socket.socket) -> None:
        heard, asked_at, waiting = b"", -1.0, False
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake, selectors.EVENT_READ)
            selector.register(tap, selectors.EVENT_READ)
            while not self._over.is_set():
                now = time.monotonic()
                if not waiting and now - asked_at >= self._period_s:
                    with self._lock:
                        self._pending += b"L\n"
                    asked_at, waiting = now, True
                selector.modify(tap, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pending else 0))
                for key, events in selector.select(self._period_s):
                    if key.fileobj is self._wake:
                        self._wake.recv(4096)
                    elif events & selectors.EVENT_WRITE:
                        self._send(tap)
                    if key.fileobj is tap and events & selectors.EVENT_READ:
                        data = tap.recv(1024**2)
                        if not data:
                            return
                        *lines, heard = (heard + data).split(b"\n")
                        for line in lines:
                            waiting = False
                            self._hear(line)

    def _send(self, tap: socket.socket) -> None:
        with self._lock, suppress(BlockingIOError):
            sent = tap.send(memoryview(self._pending)[: 1024**2].tobytes())
            del self._pending[:sent]

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            counters = {name: Counters.model_validate(one) for name, one in said["counters"].items()}
            captured = [tuple(map(str, one)) for one in said["captured"]]
        except (ValueError, KeyError, TypeError, ValidationError):
            return
        self._told(counters)
        for uid, request_id, revision, predicted in captured:
            self._captured(uid, request_id, revision, predicted)
