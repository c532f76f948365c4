"""Telling waiters to look again: within a process at once, between processes by a small shared file or NOTIFY."""

from __future__ import annotations

import logging
import mmap
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import psycopg

SLOTS = 4096
DOORS = 64
GLANCE_S = 0.25
"""How often a waiter looks at what other processes wrote."""
NOTIFY_CHANNEL = "ferry_wake"

_log = logging.getLogger(__name__)


class Wakes:
    """Remembers when each channel was last woken, on the machine's monotonic clock.

    A thread that looked into the database (`mark`) and then waits is woken by anything after that look: nothing falls
    into the gap between looking and waiting. Channels share slots, so that a wake may be for someone else.
    """

    def __init__(self) -> None:
        self._slots = [0] * SLOTS
        self._doors = [threading.Condition() for _ in range(DOORS)]
        self._looked = threading.local()
        self._closed = False

    def mark(self) -> None:
        """This thread is about to look."""
        self._looked.at = time.monotonic_ns()

    def wake(self, channel: str) -> None:
        self.ring(_slot(channel))

    def ring(self, slot: int) -> None:
        door = self._doors[slot % DOORS]
        with door:
            self._slots[slot] = time.monotonic_ns()
            door.notify_all()

    def ring_all(self) -> None:
        for slot in range(SLOTS):
            self._slots[slot] = time.monotonic_ns()
        for door in self._doors:
            with door:
                door.notify_all()

    def wait(self, channel: str, timeout_s: float) -> bool:
        slot = _slot(channel)
        now = time.monotonic()
        since: int = getattr(self._looked, "at", time.monotonic_ns())
        deadline = now + timeout_s
        door = self._doors[slot % DOORS]
        with door:
            while not (woken := self._rung(slot) > since) and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                door.wait(min(left, self._glance_s()))
        self.mark()
        return woken

    def close(self) -> None:
        """Waiters return at once, now and from now on."""
        self._closed = True
        for door in self._doors:
            with door:
                door.notify_all()

    def _rung(self, slot: int) -> int:
        return self._slots[slot]

    def _glance_s(self) -> float:
        return 3600


class FileWakes(Wakes):
    """For SQLite: processes of one machine share a file of moments; the monotonic clock is the machine's."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, SLOTS * 8)
            self._shared = mmap.mmap(descriptor, SLOTS * 8)
        finally:
            os.close(descriptor)

    def wake(self, channel: str) -> None:
        slot = _slot(channel)
        if not self._closed:
            struct.pack_into("<q", self._shared, slot * 8, time.monotonic_ns())
        self.ring(slot)

    def _rung(self, slot: int) -> int:
        (shared,) = struct.unpack_from("<q", self._shared, slot * 8)
        # A moment in the future is from before the machine was started again.
        return max(super()._rung(slot), shared if shared <= time.monotonic_ns() else 0)

    def _glance_s(self) -> float:
        return GLANCE_S


class NotifyWakes(Wakes):
    """For PostgreSQL: one connection listens for all replicas' wakes; sending is the store's part."""

    def __init__(self, conninfo: str, send: Callable[[str], None]) -> None:
        super().__init__()
        self._conninfo = conninfo
        self._send = send
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="store-listen", daemon=True)
        self._thread.start()
        self._listening.wait(5)

    def wake(self, channel: str) -> None:
        super().wake(channel)
        self._send(str(_slot(channel)))

    def close(self) -> None:
        super().close()
        # A word that means nothing ends the listener's sleep.
        self._send("")
        self._thread.join(5)

    def _listen(self) -> None:
        while not self._closed:
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    # Whatever was said while nobody listened.
                    self.ring_all()
                    self._listening.set()
                    while not self._closed:
                        for notice in connection.notifies(timeout=5, stop_after=1):
                            self._heard(notice.payload)
            except psycopg.Error as error:
                _log.warning("cannot listen for wakes, trying again: %s", type(error).__name__)
                self._pause()

    def _heard(self, payload: str) -> None:
        if payload.isdecimal() and int(payload) < SLOTS:
            self.ring(int(payload))

    def _pause(self) -> None:
        with self._doors[0]:
            self._doors[0].wait(1)


def _slot(channel: str) -> int:
    return zlib.crc32(channel.encode(errors="surrogatepass")) % SLOTS
