"""The job half of the operator: gathers what is seen, lets `lifecycle` decide, and carries its effects out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import assert_never

from ferryml.agent.explaining import explained, of_refusal
from ferryml.agent.ports import GatewayDoor, JobBackend
from ferryml.agent.side_by_side import Begun, SideBySide
from ferryml.domain.errors import FerryError, Refused, Unavailable
from ferryml.domain.lifecycle import (
    TERMINAL,
    Effect,
    JobTrack,
    Prepare,
    Rules,
    Seen,
    Start,
    Stop,
    decide,
    refused,
    status_of,
)
from ferryml.domain.link import Wish
from ferryml.domain.orders import JobOrder, Json
from ferryml.domain.seen import ENVIRONMENT_LOG, JobSeen, Launch, StoredStatus
from ferryml.domain.statuses import GoneStatus, JobStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRules:
    """The site's limits for jobs."""

    lifecycle: Rules = Rules()  # noqa: RUF009  frozen, so one for all is right
    max_parallel: int = 2
    cancel_grace_s: float = 10
    keep_finished_s: float = 3600
    side_by_side: int = 1
    """Attempts that are being started at once."""
    starts_a_turn: int = 0
    """Attempts that one turn starts, so that news of the others need not wait for a long row; 0: all there are."""
    recheck_s: float = 0
    """How long a launched job of which there is no news may go without a look; 0: each is looked at in every turn."""


@dataclass(frozen=True, slots=True)
class JobTurn:
    status: JobStatus | GoneStatus
    memory: dict[str, Json]
    attempt: int


@dataclass(frozen=True, slots=True)
class Starting:
    """An attempt that was decided on and has its place; nothing was done yet."""

    finish: Callable[[], JobTurn]
    """Does it, and says what came of it. May be called from another thread, beside those of other jobs."""
    give_up: Callable[[], None]
    """Instead of `finish`: its place is free again."""


class JobOperator:
    """One turn of one job at a time; counts what runs, so that not too much does.

    Decisions are made one after another, in the order of asking; only what they lead to may be done side by side.
    """

    def __init__(
        self, backend: JobBackend, gateway: GatewayDoor, rules: JobRules, no_room: Callable[[], str] = lambda: ""
    ) -> None:
        self._backend, self._gateway, self._rules = backend, gateway, rules
        self._no_room = no_room
        self._alive: set[str] = set()
        self.has_more = False
        """Whether some wait for the next turn only because this one had enough to start."""
        self._starts = 0
        self._lived: dict[str, Begun[int]] = {}
        self._renewed: dict[str, Begun[None]] = {}
        self._beside = SideBySide(rules.side_by_side, "ferry-start")
        self._dead: set[tuple[str, int]] = set()
        self._here: dict[str, list[int]] = {}
        self._granted: dict[str, int] = {}
        self._dismissed: set[str] = set()
        self._news: Collection[str] | None = None
        self._looked: dict[str, tuple[datetime, int]] = {}

    def begin_turn(self) -> None:
        """Counts what lives here from what is here, so that a restart finds the same room as before it."""
        self._starts, self.has_more = 0, False
        for told in self._renewed.values():
            # one that nobody asked for must not be heard after a later one
            with suppress(FerryError):
                told.result()
        self._lived.clear()
        self._renewed.clear()
        self._news = self._backend.tend()
        here = set(self._backend.list())
        self._here = {}
        for uid, attempt in here:
            self._here.setdefault(uid, []).append(attempt)
        self._dead &= here
        known = {key for key in here - self._dead if key[0] in self._alive and not self._is_news(key[0])}
        states = {key: self._looked_at(*key) for key in here - self._dead - known}
        alive = {key for key, job in states.items() if job is None or job.live}
        self._dead |= {key for key, job in states.items() if job is not None and job.state in ("exited", "lost")}
        self._alive = {uid for uid, _ in (*alive, *known)}

    def _looked_at(self, uid: str, attempt: int) -> JobSeen | None:
        """None when it cannot be told: one that is in trouble must not stop the others."""
        try:
            return self._backend.observe(uid, attempt)
        except FerryError as error:
            log.warning("%s: attempt %s cannot be looked at: %s: %s", uid, attempt, error.code, error.message)
            return None

    def active(self, wish: Wish, stored: StoredStatus | None) -> bool:
        """Whether it is worth looking at this job again soon."""
        if not wish.uid.startswith("job."):
            return False
        return not _settled(wish, stored) or (wish.order is not None and wish.uid not in self._dismissed)

    def close(self) -> None:
        """Starts that have not begun are given up."""
        self._beside.close()

    def foresee(self, unknown: Iterable[Wish]) -> None:
        """What will have to be asked about jobs that the ledger knows nothing of is asked at once."""
        most = self._rules.starts_a_turn if self._rules.side_by_side > 1 else 0
        for wish in unknown if most else ():
            if len(self._lived) >= most:
                return
            if wish.uid.startswith("job.") and wish.order is not None and wish.uid not in self._here:
                self._lived[wish.uid] = self._beside.begin(partial(self._gateway.lived, wish.uid))
                if wish.grant and self._granted.get(wish.uid) != wish.generation:
                    told = self._beside.begin(partial(self._gateway.renew, wish.uid, wish.grant))
                    self._renewed[wish.uid] = told

    def begin(self, starting: Starting, wanted: Callable[[], bool]) -> Begun[JobTurn | None]:
        """Side by side with others; None when it is not `wanted` any more as its row comes."""

        def work() -> JobTurn | None:
            if wanted():
                return starting.finish()
            starting.give_up()
            return None

        return self._beside.begin(work)

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> JobTurn | None:
        """None when nothing can have changed."""
        found = self.decided(wish, stored, now)
        return found.finish() if isinstance(found, Starting) else found

    def decided(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> JobTurn | Starting | None:
        """As `turn`, but an attempt that is to start is left to the caller."""
        if stored is not None and _settled(wish, stored):
            self._dismiss(wish)
            return self._tidy(wish, stored, now)
        if wish.order is not None and _is_launched(stored) and self._is_quiet(wish, now):
            return None
        track = track_of(stored)
        if wish.order is None:
            return self._retire(wish, stored, track)
        if not isinstance(wish.order, JobOrder):
            raise Refused("BadRequest", f"{wish.uid} is not a job")
        if self._waits_its_turn(wish, wish.order, stored):
            self.has_more = True
            return None
        if stored is None:
            track = self._unremembered(wish.uid)
        self._looked[wish.uid] = (now, wish.generation)
        return self._step(wish, wish.order, track, now)

    def _waits_its_turn(self, wish: Wish, order: JobOrder, stored: StoredStatus | None) -> bool:
        """Whether it is to begin, and this turn has begun with as many as it should. Who ends something never waits."""
        most = self._rules.starts_a_turn
        if not most or order.cancel or _is_launched(stored) or wish.uid in self._here:
            return False
        unasked = stored is None and wish.uid not in self._lived
        return self._starts >= most or (unasked and len(self._lived) >= most)

    def _unremembered(self, uid: str) -> JobTrack:
        """A job of which the ledger knows nothing: new, or its memory was removed together with its pods.

        The gateway then knows which attempts there were; their logs and receipts must not be mixed with another's.
        """
        if self._here.get(uid):
            return JobTrack()
        asked = self._lived.get(uid)
        lived = asked.result() if asked is not None else self._gateway.lived(uid)
        return JobTrack(attempt=lived, launched=True) if lived else JobTrack()

    def _is_news(self, uid: str) -> bool:
        return self._news is None or uid in self._news

    def _is_quiet(self, wish: Wish, now: datetime) -> bool:
        """Nothing was heard of it, and it was looked at a short while ago."""
        looked, generation = self._looked.get(wish.uid, (None, 0))
        if looked is None or generation != wish.generation or self._is_news(wish.uid):
            return False
        return (now - looked).total_seconds() < self._rules.recheck_s

    def _step(self, wish: Wish, order: JobOrder, track: JobTrack, now: datetime) -> JobTurn | Starting:
        before = track
        try:
            self._renew(wish)
        except Refused as error:
            return self._turned(wish, order, before, refused(track, error.code, error.message, now))
        track, effects = decide(order, track, self._look(wish.uid, order, track), now, self._rules.lifecycle)
        for effect in effects:
            if isinstance(effect, Start):
                return self._starting(wish, order, before, track, effect, now)
            track = self._apply(wish, order, track, effect, now)
        return self._turned(wish, order, before, track)

    def _starting(
        self, wish: Wish, order: JobOrder, before: JobTrack, track: JobTrack, effect: Start, now: datetime
    ) -> Starting:
        self._starts += 1
        self._alive.add(wish.uid)

        def finish() -> JobTurn:
            return self._turned(wish, order, before, self._apply(wish, order, track, effect, now))

        return Starting(finish, partial(self._alive.discard, wish.uid))

    def _turned(self, wish: Wish, order: JobOrder, before: JobTrack, track: JobTrack) -> JobTurn:
        if track.phase in TERMINAL and before.phase not in TERMINAL:
            self._end(wish, track)
        status = status_of(track, order, self._rules.lifecycle)
        return JobTurn(status, {"track": track.model_dump(mode="json")}, track.attempt)

    def _end(self, wish: Wish, track: JobTrack) -> None:
        if track.code in ("EnvironmentFailed", "ImageBuildFailed") and wish.grant:
            self._gateway.append_log(wish.uid, track.attempt, ENVIRONMENT_LOG, f"{track.reason}\n".encode())
        self._looked.pop(wish.uid, None)

    def _dismiss(self, wish: Wish) -> None:
        """Only once its end is written down: of whom it dismissed the gateway soon knows nothing more, and an agent
        that died in between would find a job whose outputs nobody has heard of."""
        if wish.order is not None and wish.uid not in self._dismissed:
            self._gateway.dismiss(wish.uid)
            self._dismissed.add(wish.uid)

    def _look(self, uid: str, order: JobOrder, track: JobTrack) -> Seen:
        job = self._backend.observe(uid, track.attempt)
        environment = self._backend.environment(order.environment.key)
        return Seen(
            environment=environment,
            job=explained(order, environment, job),
            receipt=self._gateway.receipt(uid, track.attempt) if job.state not in ("absent", "staging") else None,
            no_room=self._why_not(uid),
        )

    def _why_not(self, uid: str) -> str:
        others = len(self._alive - {uid})
        if others >= self._rules.max_parallel:
            return f"{others} of at most {self._rules.max_parallel} jobs are running on this site"
        return self._no_room()

    def _apply(self, wish: Wish, order: JobOrder, track: JobTrack, effect: Effect, now: datetime) -> JobTrack:
        try:
            match effect:
                case Prepare(environment):
                    self._backend.prepare(environment, wish.uid, wish.grant)
                case Start(attempt):
                    self._start(wish, order, attempt)
                case Stop(attempt):
                    self._backend.kill(wish.uid, attempt, self._rules.cancel_grace_s)
                case _:
                    assert_never(effect)
        except Refused as error:
            self._not_started(wish, effect)
            track = track.model_copy(update={"findings": of_refusal(error)})
            return refused(track, error.code, error.message, now)
        except FerryError as error:
            self._not_started(wish, effect)
            return track.model_copy(update={"reason": error.message})
        return track

    def _not_started(self, wish: Wish, effect: Effect) -> None:
        if isinstance(effect, Start):
            self._alive.discard(wish.uid)

    def _start(self, wish: Wish, order: JobOrder, attempt: int) -> None:
        token = self._gateway.admit(wish.uid, attempt, wish.grant, order.namespace)
        self._backend.launch(
            Launch(
                uid=wish.uid,
                attempt=attempt,
                order=order,
                gateway_url=self._gateway.url,
                token=token,
                env_key=order.environment.key,
                previous_outputs=self._gateway.outputs(wish.uid, attempt - 1) if attempt > 1 else {},
            )
        )

    def _renew(self, wish: Wish) -> None:
        """Tells the gateway of a new grant once; work that runs goes on under it."""
        if wish.grant and self._granted.get(wish.uid) != wish.generation:
            try:
                if (told := self._renewed.get(wish.uid)) is not None:
                    told.result()
                else:
                    self._gateway.renew(wish.uid, wish.grant)
            except Unavailable as error:
                # a gateway that is away must not keep a job from being stopped
                log.debug("%s: its grant is renewed later: %s", wish.uid, error.message)
                return
            self._granted[wish.uid] = wish.generation

    def _tidy(self, wish: Wish, stored: StoredStatus, now: datetime) -> JobTurn | None:
        """The folder of a finished job goes a while after the server has heard of its end."""
        if stored.memory.get("cleaned") or stored.unsent or not isinstance(stored.status, JobStatus):
            return None
        if stored.at is None or (now - stored.at).total_seconds() < self._rules.keep_finished_s:
            return None
        self._backend.clean(wish.uid)
        return JobTurn(stored.status, {**stored.memory, "cleaned": True}, stored.attempt)

    def _retire(self, wish: Wish, stored: StoredStatus | None, track: JobTrack) -> JobTurn | None:
        """A tombstone: end what lives, remove what is left, and say so only when nothing is."""
        mine = self._here.get(wish.uid, [])
        live = [attempt for attempt in mine if self._backend.observe(wish.uid, attempt).live]
        for attempt in live:
            self._backend.kill(wish.uid, attempt, self._rules.cancel_grace_s)
        if live:
            return None
        self._gateway.dismiss(wish.uid)
        self._dismissed.discard(wish.uid)
        self._backend.clean(wish.uid)
        memory = stored.memory if stored else {}
        return JobTurn(GoneStatus(), {**memory, "cleaned": True}, track.attempt)


def _settled(wish: Wish, stored: StoredStatus | None) -> bool:
    """What was asked last has come to its end."""
    if stored is None or stored.generation != wish.generation:
        return False
    if wish.order is None:
        return isinstance(stored.status, GoneStatus)
    return isinstance(stored.status, JobStatus) and stored.status.phase in TERMINAL


def _is_launched(stored: StoredStatus | None) -> bool:
    return bool(stored and stored.memory.get("track", {}).get("launched"))


def track_of(stored: StoredStatus | None) -> JobTrack:
    """The decider's memory as the ledger kept it."""
    return JobTrack.model_validate(stored.memory["track"]) if stored and "track" in stored.memory else JobTrack()
