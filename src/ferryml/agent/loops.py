"""The agent's threads: pull wishes, push reports, turn the operator; each fails alone and comes back by itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ferryml.agent.operator import Operator
from ferryml.agent.ports import ServerLink
from ferryml.agent.sync import Sync
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.link import Heartbeat, HeartbeatAnswer

log = logging.getLogger(__name__)

CALL_LEFT_S = 0.2
"""At the end: how long a call under way is waited for; a long poll is abandoned."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds."""

    poll_s: float = 25
    retry_min_s: float = 0.2
    retry_max_s: float = 30
    heartbeat_s: float = 15
    busy_tick_s: float = 0.2
    serving_tick_s: float = 0.5
    idle_tick_s: float = 5
    gather_s: float = 0
    """Pause after a wake-up, so that news that come together are looked at together."""


class Backoff:
    """Doubling pauses with full jitter, so that sites do not come back all at once."""

    def __init__(self, least_s: float, most_s: float, dice: Callable[[], float]) -> None:
        self._least, self._most, self._dice = least_s, most_s, dice
        self._next = least_s

    def failed(self) -> float:
        """The pause before the next attempt, s: between half and the whole of the present step."""
        pause = self._next * (0.5 + self._dice() / 2)
        self._next = min(self._most, self._next * 2)
        return pause

    def worked(self) -> None:
        self._next = self._least


class LinkState:
    """Whether the server answers; said once when it changes."""

    def __init__(self) -> None:
        self._up = threading.Event()
        self._turned = threading.Condition()
        self.reason = "not asked yet"
        self._code = ""

    @property
    def up(self) -> bool:
        return self._up.is_set()

    def worked(self) -> None:
        was_up = self.up
        self._up.set()
        self.reason = ""
        if not was_up:
            log.info("the link is up")
            self.release()

    def wait(self, pause_s: float) -> None:
        """A pause after a failure, cut short when another loop finds that the server answers again."""
        with self._turned:
            self._turned.wait(pause_s)

    def release(self) -> None:
        """Ends the pauses under way."""
        with self._turned:
            self._turned.notify_all()

    def failed(self, error: FerryError) -> None:
        if self.up or self._code != error.code:
            log.warning("the link is down: %s: %s", error.code, error.message)
        self._up.clear()
        self._code, self.reason = error.code, error.message


class Loops:
    """Runs until `stop`. Work on this site goes on whatever becomes of the link."""

    def __init__(
        self,
        link: ServerLink,
        sync: Sync,
        operator: Operator,
        beat: Callable[[], Heartbeat],
        heard: Callable[[HeartbeatAnswer], None],
        pace: Pace,
        dice: Callable[[], float],
    ) -> None:
        self._link, self._sync, self._operator = link, sync, operator
        self._beat, self._heard, self._pace, self._dice = beat, heard, pace, dice
        self.state = LinkState()
        self._stopping = threading.Event()
        self._wishes = threading.Event()
        self._news = threading.Event()
        self._asked = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"ferry-{name}", daemon=True)
            for name, target in (
                ("operator", self._operate),
                ("pull", lambda: self._linked(self._pull)),
                ("push", lambda: self._linked(self._push)),
                ("heartbeat", lambda: self._linked(self._heartbeat)),
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5) -> None:
        """Ends the operator for certain; calls to the server under way may outlive `timeout_s` and are abandoned.

        What never started has nothing to end.
        """
        self._stopping.set()
        self._operator.close()
        for event in (self._wishes, self._news, self._asked):
            event.set()
        operator, *linked = self._threads
        for thread, limit_s in ((operator, timeout_s), *((one, CALL_LEFT_S) for one in linked)):
            if thread.ident is not None:
                thread.join(limit_s)

    def wake(self) -> None:
        """Something changed on the site: look now."""
        self._wishes.set()

    def beat(self) -> None:
        """The server asked what is here: tell it now, not at the next beat."""
        self._asked.set()

    def _operate(self) -> None:
        pace = self._pace
        while not self._stopping.is_set():
            self._wishes.clear()
            try:
                turn = self._operator.tick()
            except FerryError as error:
                log.error("the operator cannot work: %s: %s", error.code, error.message)
                self._stopping.wait(pace.retry_min_s * 5)
                continue
            except Exception:  # this is the loop runner: a full disk or a defect in one turn must not end the loop
                log.exception("the operator failed, and tries again")
                self._stopping.wait(pace.retry_min_s * 5)
                continue
            if turn.told:
                self._news.set()
            pause = pace.busy_tick_s if turn.busy else pace.serving_tick_s if turn.serving else pace.idle_tick_s
            if turn.more:
                pause = min(pause, pace.retry_min_s)
            if self._wishes.wait(pause) and pace.gather_s:
                self._stopping.wait(pace.gather_s)

    def _linked(self, step: Callable[[], None]) -> None:
        backoff = Backoff(self._pace.retry_min_s, self._pace.retry_max_s, self._dice)
        while not self._stopping.is_set():
            try:
                step()
            except FerryError as error:
                if self._stopping.is_set():
                    return
                self.state.failed(error)
                self.state.wait(self._pace.retry_max_s if isinstance(error, Refused) else backoff.failed())
                self._stopping.wait(self._pace.retry_min_s)
            except Exception:  # this is the loop runner: a defect in one turn must not end the loop
                if self._stopping.is_set():
                    return
                log.exception("defect in %s", threading.current_thread().name)
                self._stopping.wait(backoff.failed())
            else:
                self.state.worked()
                backoff.worked()

    def _pull(self) -> None:
        if self._sync.pull(self._pace.poll_s if self.state.up else 0):
            self._wishes.set()

    def _push(self) -> None:
        self._news.wait(self._pace.idle_tick_s)
        if self._stopping.is_set():
            return
        self._news.clear()
        try:
            self._sync.push()
        except FerryError:
            self._news.set()
            raise

    def _heartbeat(self) -> None:
        self._asked.clear()
        self._heard(self._link.heartbeat(self._beat()))
        if not self._stopping.is_set():
            self._asked.wait(self._pace.heartbeat_s)
