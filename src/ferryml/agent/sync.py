"""Keeps ledger and server in step over a link that loses, repeats and delays: states travel, never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from ferryml.agent.ports import Ledger, ServerLink
from ferryml.agent.unread import Heard, Unreads
from ferryml.domain.errors import Refused
from ferryml.domain.link import Report, Wish
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import GoneStatus

BATCH = 100
"""Reports a call."""


class Sync:
    """The two directions. Each method may fail at any point with a FerryError and simply be called again."""

    def __init__(
        self, link: ServerLink, ledger: Ledger, now: Callable[[], datetime], unreads: Unreads | None = None
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._now = now
        self._unreads = unreads or Unreads()
        self._compared = False

    def pull(self, wait_s: float) -> bool:
        """One question for wishes; True when something new is in the ledger."""
        epoch = self._ledger.epoch()
        if epoch and not self._compared:
            return self._compare(epoch)
        self._compared = True
        answer = self._link.wishes(self._ledger.cursor(), epoch, wait_s)
        if answer.relist or (epoch and answer.epoch != epoch):
            self.relist(answer.epoch)
            return True
        self._unreads.note(answer, self._now())
        self._ledger.take(answer.wishes, answer.epoch, answer.cursor)
        return bool(answer.wishes or answer.unread)

    def _compare(self, epoch: str) -> bool:
        """Once after each start: the whole list, for a ledger in a cluster may have lost parts while nobody looked."""
        lacking, cursor, more = list[Wish](), 0, True
        while more:
            answer = self._link.wishes(cursor, epoch, 0)
            if answer.relist or answer.epoch != epoch:
                self.relist(answer.epoch)
                self._compared = True
                return True
            self._unreads.note(answer, self._now())
            lacking += [wish for wish in answer.wishes if self._lacks(wish)]
            cursor, more = answer.cursor, answer.more
        self._ledger.take(lacking, epoch, max(cursor, self._ledger.cursor()))
        self._compared = True
        return True

    def _lacks(self, wish: Wish) -> bool:
        stored = self._ledger.status(wish.uid)
        if wish.order is None and stored is not None and isinstance(stored.status, GoneStatus):
            # buried here, and not yet there
            return stored.generation < wish.generation
        return self._ledger.wish(wish.uid) != wish

    def relist(self, epoch: str) -> None:
        """Reads the whole list of the server's new epoch, then compares in one stroke; half a list changes nothing."""
        wishes: dict[str, Wish] = {}
        unread: list[Heard] = []
        cursor, more = 0, True
        while more:
            answer = self._link.wishes(cursor, epoch, 0)
            if answer.relist or answer.epoch != epoch:
                if answer.epoch == epoch:
                    raise Refused("EpochChanged", "the server asks to relist what is being relisted", "Upgrade it.")
                wishes, unread, cursor, epoch = {}, [], 0, answer.epoch
                continue
            wishes.update({wish.uid: wish for wish in (*answer.wishes, *self._going_on(answer))})
            unread.append(answer)
            cursor, more = answer.cursor, answer.more
        self._unreads.clear()
        for answer in unread:
            self._unreads.note(answer, self._now())
        self._ledger.relist(wishes.values(), epoch, cursor)

    def _going_on(self, answer: Heard) -> list[Wish]:
        """What is listed and cannot be read is no orphan: it goes on as it was asked for before, and answers nothing
        that the server of the new epoch has said."""
        known = [self._ledger.wish(each.uid) for each in answer.unread]
        return [wish.model_copy(update={"generation": 0}) for wish in known if wish is not None]

    def push(self) -> int:
        """Reports what the server does not have yet; returns how many of them it has now."""
        done = 0
        for batch in _batches([s for s in self._ledger.statuses() if s.unsent]):
            reports = [report for stored in batch if (report := _report(stored, self._now()))]
            epoch = self._ledger.epoch()
            try:
                answer = self._link.report(epoch, reports)
            except Refused as error:
                if error.code != "EpochChanged":
                    raise
                self.pull(0)
                return done
            self._ledger.acknowledge(answer.accepted, answer.unknown)
            self._bury_gone(batch, {*answer.unknown, *(uid for uid, _, _ in answer.accepted)})
            done += len(answer.accepted)
            if answer.epoch != epoch:
                self.relist(answer.epoch)
        return done + self._push_unread()

    def _push_unread(self) -> int:
        """Says of orders that were never begun why they are not. Of what is here its status tells; of what ended here
        there is nothing more to say."""
        done = 0
        untold = [one for one in self._unreads.untold() if self._ledger.status(one.uid) is None]
        for start in range(0, len(untold), BATCH):
            answer = self._link.report(self._ledger.epoch(), untold[start : start + BATCH])
            heard = {*answer.unknown, *(uid for uid, _, _ in answer.accepted)}
            self._unreads.told(heard)
            done += len(answer.accepted)
        return done

    def _bury_gone(self, batch: Sequence[StoredStatus], heard: set[str]) -> None:
        """What is gone here and known to be gone there needs no memory, save jobs: an old order must not run twice."""
        for stored in batch:
            if isinstance(stored.status, GoneStatus) and stored.uid in heard:
                self._ledger.bury(stored.uid, remember=stored.uid.startswith("job."))


def _report(stored: StoredStatus, now: datetime) -> Report | None:
    if stored.status is None:
        return None
    return Report(
        uid=stored.uid,
        generation=stored.generation,
        attempt=stored.attempt,
        version=stored.version,
        status=stored.status,
        at=stored.at or now,
    )


def _batches(statuses: Sequence[StoredStatus]) -> Iterator[Sequence[StoredStatus]]:
    for start in range(0, len(statuses), BATCH):
        yield statuses[start : start + BATCH]
