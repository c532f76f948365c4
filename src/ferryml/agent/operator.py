"""The operator: looks at each wish, decides, acts, and writes down where it stands; the same again after a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ferryml.agent.jobs import JobOperator
from ferryml.agent.ports import EndpointOperator, Ledger
from ferryml.agent.unread import Unreads, noticed
from ferryml.domain.errors import FerryError
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, Json, SettingsOrder
from ferryml.domain.seen import StatusOf, StoredStatus
from ferryml.domain.statuses import EndpointStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where orders go that are not jobs."""

    endpoints: EndpointOperator | None = None
    settings: Callable[[Mapping[str, Json]], None] = field(default=lambda settings: None)
    unreads: Unreads = field(default_factory=Unreads)
    """Orders that could not be read; what goes on as before says so."""


class Operator:
    """One turn over everything that is wished for. Not for several threads at once."""

    def __init__(
        self,
        ledger: Ledger,
        jobs: JobOperator,
        hooks: Hooks,
        now: Callable[[], datetime],
        report_interval_s: float = 5,
    ) -> None:
        self._ledger, self._jobs, self._hooks, self._now = ledger, jobs, hooks, now
        self._interval = report_interval_s
        self._settings_seen = 0
        self._said: dict[str, str] = {}
        """uid -> the trouble of its last turn: said once, not in each."""

    def tick(self) -> Turn:
        """Observe, decide, apply for each uid; one write at the end. A failure of one uid never stops the others."""
        self._jobs.begin_turn()
        changed: list[StoredStatus] = []
        busy = serving = told = False
        for wish in self._ledger.wishes():
            stored = self._ledger.status(wish.uid)
            after = self._guarded(wish, stored)
            if after is not None and after != stored:
                changed.append(after)
                told = told or after.version != (stored.version if stored else 0)
            busy = busy or self._jobs.active(wish, after or stored)
            serving = serving or isinstance(wish.order, EndpointOrder) or _ending(wish)
        self._ledger.put_statuses(changed)
        return Turn(busy=busy, serving=serving, told=told)

    def _guarded(self, wish: Wish, stored: StoredStatus | None) -> StoredStatus | None:
        try:
            after = self._turn(wish, stored)
            self._said.pop(wish.uid, None)
            return after
        except FerryError as error:
            if self._said.get(wish.uid) != error.code:
                log.warning("%s: %s: %s", wish.uid, error.code, error.message)
            self._said[wish.uid] = error.code
        except Exception:  # this is the loop runner: one broken uid must not stop the site
            log.exception("%s: defect in its turn", wish.uid)
        return None

    def _turn(self, wish: Wish, stored: StoredStatus | None) -> StoredStatus | None:
        now = self._now()
        if isinstance(wish.order, SettingsOrder):
            if wish.cursor > self._settings_seen:
                self._hooks.settings(wish.order.settings)
                self._settings_seen = wish.cursor
            return None
        if wish.uid.startswith("job."):
            turn = self._jobs.turn(wish, stored, now)
            return None if turn is None else self._stored(wish, stored, turn.status, turn.memory, turn.attempt)
        if self._hooks.endpoints is None:
            return None
        ended = self._hooks.endpoints.turn(wish, stored, now)
        return self._stored(wish, stored, ended.status, ended.memory, 1)

    def _stored(
        self, wish: Wish, stored: StoredStatus | None, status: StatusOf, memory: dict[str, Json], attempt: int
    ) -> StoredStatus:
        """A new version only when there is news: the version is what tells the server to listen."""
        now = self._now()
        status = noticed(status, self._hooks.unreads.get(wish.uid))
        old = stored or StoredStatus(uid=wish.uid, generation=wish.generation)
        same = old.version > 0 and (old.generation, old.attempt) == (wish.generation, attempt)
        if same and (old.status == status or not self._due(old, status, now)):
            return old if old.memory == memory else old.model_copy(update={"memory": memory})
        return old.model_copy(
            update={
                "generation": wish.generation,
                "attempt": attempt,
                "version": next_version(old.version, now),
                "status": status,
                "memory": memory,
                "at": now,
            }
        )

    def _due(self, old: StoredStatus, status: StatusOf, now: datetime) -> bool:
        """Running figures alone are told at intervals; everything else at once."""
        if not isinstance(status, EndpointStatus) or not isinstance(old.status, EndpointStatus):
            return True
        figures: dict[str, dict[str, Json]] = {"counters": {}, "accuracy": {}, "recent_accuracy": {}}
        if old.status.model_copy(update=figures) != status.model_copy(update=figures):
            return True
        return old.at is None or (now - old.at).total_seconds() >= self._interval


def _ending(wish: Wish) -> bool:
    return wish.order is None and wish.uid.startswith("endpoint.")


@dataclass(frozen=True, slots=True)
class Turn:
    """What the loop needs to know of a tick: how soon to look again, and whether there is news to report."""

    busy: bool
    serving: bool
    told: bool


def next_version(version: int, now: datetime) -> int:
    """Rises for ever, even where the ledger was lost: no lower than the milliseconds of the clock."""
    return max(version + 1, int(now.timestamp() * 1000))
