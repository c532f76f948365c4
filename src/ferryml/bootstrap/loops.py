"""Runs the loops: one thread each, under a lease, woken by changes, backing off when something fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ferryml.control.context import Deps
from ferryml.domain.errors import FerryError

log = logging.getLogger(__name__)
CHANNEL = "loops"
MOST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop. `tick` does a batch and returns how much it did; 0 lets it rest.

    Args:
        every_s: longest time between two looks; None: loop_tick_s of the settings.
        rest_s: shortest time between two looks, however often it is woken.
    """

    name: str
    tick: Callable[[Deps], int]
    every_s: float | None = None
    rest_s: float = 0.0


class Loops:
    """All loops of this process."""

    def __init__(self, deps: Deps, loops: Iterable[Loop], holder: str) -> None:
        self._deps, self._holder = deps, holder
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"ferry-loop-{loop.name}", daemon=True)
            for loop in loops
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the loops to end; `Deps.stopping` must be set."""
        self._deps.store.wake(CHANNEL)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, loop: Loop) -> None:
        deps, failures, leased_until = self._deps, 0, 0.0
        every = loop.every_s or deps.settings.loop_tick_s
        while not deps.stopping.is_set():
            try:
                if time.monotonic() >= leased_until:
                    leased_until = self._lease(loop.name)
                if not leased_until:
                    deps.stopping.wait(deps.settings.lease_s / 3)
                    continue
                done, failures = loop.tick(deps), 0
            except Exception as error:  # noqa: BLE001  the loop runner: a failed turn is logged and tried again
                failures += 1
                _tell(loop.name, error)
                deps.stopping.wait(min(MOST_BACKOFF_S, 0.2 * 2**failures))
                continue
            if loop.rest_s:
                deps.stopping.wait(loop.rest_s)
            if not done:
                self._rest(every)

    def _lease(self, name: str) -> float:
        """Until when (monotonic) the lease need not be renewed; 0.0 when another process has it."""
        ttl = self._deps.settings.lease_s
        asked = time.monotonic()
        with self._deps.store.begin() as tx:
            mine = tx.lease(f"loop.{name}", self._holder, ttl)
        return asked + ttl / 3 if mine else 0.0

    def _rest(self, every_s: float) -> None:
        if every_s <= 2 * self._deps.settings.loop_tick_s:
            self._deps.wait(CHANNEL, every_s)
        else:
            self._deps.stopping.wait(every_s)


def _tell(name: str, error: Exception) -> None:
    if isinstance(error, FerryError) and error.status < 500:
        log.warning("loop %s: %s: %s", name, error.code, error.message)
    else:
        log.error("loop %s failed", name, exc_info=error)
