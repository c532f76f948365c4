"""Who may be busy: each instance takes so many requests at once, the rest wait in line for a while."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from ferryml.domain.errors import Unavailable
from ferryml.domain.routes import Upstream

_DOWN_S = 0.5


@dataclass(slots=True, eq=False)
class Slot:
    """One instance as the router sees it."""

    upstream: Upstream
    busy: int = 0
    down: bool = False
    """It refused a connection just now."""
    leaving: bool = False
    """No longer in the table: finishes what it has."""


class Pool:
    """The instances of one revision. Lives on one event loop."""

    def __init__(self) -> None:
        self._slots: dict[Upstream, Slot] = {}
        self._leaving: list[Slot] = []
        self._waiting: deque[asyncio.Future[Slot]] = deque()
        self._patient: deque[asyncio.Future[Slot]] = deque()
        self._most = 1

    def update(self, upstreams: Iterable[Upstream], most: int) -> None:
        """Take over the table's word; requests under way are never touched."""
        wanted = set(upstreams)
        for upstream in [known for known in self._slots if known not in wanted]:
            slot = self._slots.pop(upstream)
            slot.leaving = True
            if slot.busy:
                self._leaving.append(slot)
        for upstream in wanted - self._slots.keys():
            self._slots[upstream] = self._returning(upstream) or Slot(upstream)
        self._most = most
        self._hand_out()

    async def acquire(self, wait_s: float, patient: bool = False) -> Slot:
        """The least busy instance with a free place; raises Unavailable after `wait_s` in line.

        The patient (mirrored copies) get a place only when nobody else waits.
        """
        free = self._free()
        if free is not None:
            free.busy += 1
            return free
        if wait_s > 0:
            turn: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
            (self._patient if patient else self._waiting).append(turn)
            try:
                return await asyncio.wait_for(turn, wait_s)
            except TimeoutError:
                # the place may have come in the same instant
                if turn.done() and not turn.cancelled():
                    return turn.result()
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.release(turn.result())
                raise
        raise self._full()

    def release(self, slot: Slot) -> None:
        """The request is over; the next in line gets the place."""
        slot.busy -= 1
        if slot.leaving and not slot.busy and slot in self._leaving:
            self._leaving.remove(slot)
        self._hand_out()

    def refused(self, slot: Slot) -> None:
        """The instance does not take connections: leave it alone for a moment."""
        if not slot.down:
            slot.down = True
            asyncio.get_running_loop().call_later(_DOWN_S, self._up, slot)

    def busy(self) -> dict[tuple[int, int], int]:
        """(instance, port) -> requests under way, those of leaving instances too."""
        slots = [*self._slots.values(), *self._leaving]
        return {(slot.upstream.instance, slot.upstream.port): slot.busy for slot in slots}

    @property
    def queued(self) -> int:
        return sum(not turn.done() for turn in self._waiting)

    @property
    def idle(self) -> bool:
        return not self._leaving and not self.queued and not any(slot.busy for slot in self._slots.values())

    def _returning(self, upstream: Upstream) -> Slot | None:
        for slot in self._leaving:
            if slot.upstream == upstream:
                self._leaving.remove(slot)
                slot.leaving = False
                return slot
        return None

    def _up(self, slot: Slot) -> None:
        slot.down = False
        self._hand_out()

    def _free(self) -> Slot | None:
        open_ = [slot for slot in self._slots.values() if not slot.down and slot.busy < self._most]
        return min(open_, key=lambda slot: slot.busy, default=None)

    def _hand_out(self) -> None:
        for line in (self._waiting, self._patient):
            while line:
                if line[0].done():
                    line.popleft()
                    continue
                free = self._free()
                if free is None:
                    return
                free.busy += 1
                line.popleft().set_result(free)

    def _full(self) -> Unavailable:
        if not any(not slot.down for slot in self._slots.values()):
            return Unavailable(
                "ResourceNotReady", "no instance of the deployment is ready", "See get-logs of the deployment."
            )
        return Unavailable(
            "QueueWaitExceeded",
            "all instances of the deployment stayed busy for longer than max_queue_wait_ms",
            "Add instances, or raise request_settings.max_queue_wait_ms.",
        )
