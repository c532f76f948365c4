"""The operator: looks at each wish, decides, acts, and writes down where it stands; the same again after a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from ferryml.agent.jobs import JobOperator, JobTurn, Starting
from ferryml.agent.ports import EndpointOperator, Ledger
from ferryml.agent.side_by_side import Begun
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
        """Observe, decide, apply for each uid; one write at the end. A failure of one uid never stops the others.

        Decisions are made one after another in the order of the list. Attempts that they start are started side by
        side, and all of them are over, well or not, before the turn is: no uid is ever worked on twice at once.
        """
        wishes = self._ledger.wishes()
        self._jobs.begin_turn()
        self._jobs.foresee(wish for wish in wishes if self._ledger.status(wish.uid) is None)
        looks = [self._look(wish) for wish in wishes]
        changed: list[StoredStatus] = []
        busy = serving = told = False
        for wish, stored, after, started in looks:
            if started is not None:
                after = self._guarded(wish, partial(self._started, wish, stored, started))
            if after is not None and after != stored:
                changed.append(after)
                told = told or after.version != (stored.version if stored else 0)
            busy = busy or self._jobs.active(wish, after or stored)
            serving = serving or isinstance(wish.order, EndpointOrder) or _ending(wish)
        self._ledger.put_statuses(changed)
        return Turn(busy=busy, serving=serving, told=told, more=self._jobs.has_more)

    def close(self) -> None:
        """A turn under way comes to its end soon: what has not begun is left to a later life."""
        self._jobs.close()

    def _look(self, wish: Wish) -> tuple[Wish, StoredStatus | None, StoredStatus | None, Begun[JobTurn | None] | None]:
        """One decision: wish, what was stored, what came of it at once, or an attempt that is being started."""
        stored = self._ledger.status(wish.uid)
        begun: list[Begun[JobTurn | None]] = []

        def decided() -> StoredStatus | None:
            if not wish.uid.startswith("job.") or isinstance(wish.order, SettingsOrder):
                return self._turn(wish, stored)
            found = self._jobs.decided(wish, stored, self._now())
            if isinstance(found, Starting):
                begun.append(self._jobs.begin(found, lambda: self._ledger.wish(wish.uid) == wish))
                return None
            return self._of_job(wish, stored, found)

        return wish, stored, self._guarded(wish, decided), begun[0] if begun else None

    def _started(self, wish: Wish, stored: StoredStatus | None, begun: Begun[JobTurn | None]) -> StoredStatus | None:
        return self._of_job(wish, stored, begun.result())

    def _guarded(self, wish: Wish, work: Callable[[], StoredStatus | None]) -> StoredStatus | None:
        try:
            after = work()
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
        if self._hooks.endpoints is None:
            return None
        ended = self._hooks.endpoints.turn(wish, stored, now)
        return self._stored(wish, stored, ended.status, ended.memory, 1)

    def _of_job(self, wish: Wish, stored: StoredStatus | None, turn: JobTurn | None) -> StoredStatus | None:
        return None if turn is None else self._stored(wish, stored, turn.status, turn.memory, turn.attempt)

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
    more: bool = False
    """Some wait for the next turn only because this one had enough to do."""


def next_version(version: int, now: datetime) -> int:
    """Rises for ever, even where the ledger was lost: no lower than the milliseconds of the clock."""
    return max(version + 1, int(now.timestamp() * 1000))
