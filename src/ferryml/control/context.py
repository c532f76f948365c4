"""What every use case is handed: the hands, and a transaction that wakes whoever waits for what it changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ferryml.control.ports import Blobs, Dice, Json, Keys, Post, Store, Tracking, Tx
from ferryml.domain.access import EVERYWHERE, Caller, Right, demand
from ferryml.domain.errors import Conflict
from ferryml.settings.server import ServerSettings

__all__ = ["SYSTEM", "Caller", "Deps", "Turn", "changed", "turn"]

T = TypeVar("T")
SYSTEM = Caller("ferry", "owner", EVERYWHERE)
"""Ferry's own loops."""
TRIES = 8
LOOK_S = 2.0
"""Longest single wait, so that a server that ends is not held up by those who wait."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a use case may touch; made once by bootstrap."""

    store: Store
    blobs: Blobs
    tracking: Tracking
    keys: Keys
    dice: Dice
    settings: ServerSettings
    post: Post
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends: whoever waits stops waiting."""

    def wait(self, channel: str, timeout_s: float) -> None:
        """Until something may have changed there, `timeout_s` is over, or the server ends."""
        if not self.stopping.is_set():
            self.store.wait(channel, min(timeout_s, LOOK_S))


@dataclass(slots=True)
class Turn:
    """One writing transaction and whom to wake once it has landed."""

    tx: Tx
    channels: set[str] = field(default_factory=set)

    def wake(self, *channels: str) -> None:
        """After the commit: `site:NAME`, `loops`, `job:UID`."""
        self.channels.update(channels)

    def record(
        self, caller: Caller, workspace: str, verb: str, subject: str, details: dict[str, Json] | None = None
    ) -> None:
        """An audit row and an event for one mutation."""
        self.tx.audit(caller.name, workspace, verb, subject, details or {})
        self.event(workspace, verb, subject, details)

    def event(self, workspace: str, verb: str, subject: str, details: dict[str, Json] | None = None) -> None:
        """Something happened that nobody asked for just now."""
        self.tx.event(workspace, verb, subject, details or {})
        self.wake(f"events:{workspace}")


@contextmanager
def turn(deps: Deps) -> Iterator[Turn]:
    """A transaction; wakes only if it landed."""
    with deps.store.begin() as tx:
        made = Turn(tx)
        yield made
    for channel in sorted(made.channels):
        deps.store.wake(channel)


def changed(deps: Deps, work: Callable[[Turn], T]) -> T:
    """Run `work` in a transaction, again from the start when somebody else was faster."""
    for _ in range(TRIES - 1):
        try:
            with turn(deps) as made:
                return work(made)
        except Conflict as error:
            if error.code != "VersionConflict":
                raise
    with turn(deps) as made:
        return work(made)


def allow(caller: Caller, right: Right, workspace: str) -> None:
    """Raise Forbidden or NotFound unless the caller has the right there."""
    demand(caller, right, workspace)
