"""Who acts when two agents of one site run by mistake: whoever holds the lease, and only while it surely does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ferryml.agent.ports import LeaseBook, LeaseSeen
from ferryml.domain.errors import Conflict, FerryError, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """All in seconds. The holder stops acting `margin_s` before others may take over."""

    lease_s: float = 15
    margin_s: float = 5
    retry_s: float = 2


class Leadership:
    """Holds or waits for the lease in a thread of its own. Time is local and monotonic: clocks need not agree."""

    def __init__(
        self, book: LeaseBook, me: str, terms: Terms, won: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._book, self._me, self._terms = book, me, terms
        self._won, self._lost, self._clock = won, lost, clock
        self._until = float("-inf")
        self._leads = False
        self._seen, self._seen_at = LeaseSeen(), float("-inf")
        self._trouble = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ferry-lease", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this program may act at this moment."""
        return self._clock() < self._until

    @property
    def holder(self) -> str:
        return self._seen.holder

    def check(self) -> None:
        """The fence before each effect. Raises Unavailable(NotLeader)."""
        if not self.leads:
            raise Unavailable("NotLeader", f"agent {self._seen.holder or 'nobody'} leads this site")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Gives the lease up, so that another need not wait for its end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(self._terms.retry_s + 5)
        if self.leads:
            self._until = float("-inf")
            try:
                self._book.write("", self._seen)
            except FerryError as error:
                log.info("the lease ends by itself: %s", error.message)

    def turn(self) -> None:
        """One look: take, renew or let go."""
        asked = self._clock()
        try:
            self._step(asked)
        except Conflict:
            log.info("another agent wrote the lease first")
        except FerryError as error:
            if self._trouble != error.code:
                log.warning("the lease cannot be kept: %s: %s", error.code, error.message)
            self._trouble = error.code
        else:
            self._trouble = ""
        if self.leads and not self._leads:
            self._leads = True
            log.info("this agent leads the site")
            self._won()
        elif self._leads and not self.leads:
            self._leads = False
            log.warning("this agent does not lead the site any more")
            self._lost()

    def _step(self, asked: float) -> None:
        seen = self._book.read()
        if seen.version != self._seen.version:
            self._seen, self._seen_at = seen, asked
        free = not seen.holder or seen.holder == self._me or asked - self._seen_at > seen.duration_s
        if not free:
            if seen.holder != self._me:
                self._until = float("-inf")
            return
        # counted from before the question: a slow answer shortens our time, never theirs
        self._seen = self._book.write(self._me, seen)
        self._seen_at = asked
        self._until = asked + self._terms.lease_s - self._terms.margin_s

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn()
            self._stopping.wait(self._terms.retry_s)
