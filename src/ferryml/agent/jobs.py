"""The job half of the operator: gathers what is seen, lets `lifecycle` decide, and carries its effects out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from ferryml.agent.explaining import explained, of_refusal
from ferryml.agent.ports import GatewayDoor, JobBackend
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
from ferryml.domain.seen import JobSeen, Launch, StoredStatus
from ferryml.domain.statuses import GoneStatus, JobStatus

log = logging.getLogger(__name__)

ENVIRONMENT_LOG = "system_logs/environment.log"


@dataclass(frozen=True, slots=True)
class JobRules:
    """The site's limits for jobs."""

    lifecycle: Rules = Rules()  # noqa: RUF009  frozen, so one for all is right
    max_parallel: int = 2
    cancel_grace_s: float = 10
    keep_finished_s: float = 3600
    recheck_s: float = 0
    """How long a launched job of which there is no news may go without a look; 0: each is looked at in every turn."""


@dataclass(frozen=True, slots=True)
class JobTurn:
    status: JobStatus | GoneStatus
    memory: dict[str, Json]
    attempt: int


class JobOperator:
    """One turn of one job at a time; counts what runs, so that not too much does."""

    def __init__(
        self, backend: JobBackend, gateway: GatewayDoor, rules: JobRules, no_room: Callable[[], str] = lambda: ""
    ) -> None:
        self._backend, self._gateway, self._rules = backend, gateway, rules
        self._no_room = no_room
        self._alive: set[str] = set()
        self._dead: set[tuple[str, int]] = set()
        self._here: dict[str, list[int]] = {}
        self._granted: dict[str, int] = {}
        self._news: Collection[str] | None = None
        self._looked: dict[str, tuple[datetime, int]] = {}

    def begin_turn(self) -> None:
        """Counts what lives here from what is here, so that a restart finds the same room as before it."""
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
        return wish.uid.startswith("job.") and not _settled(wish, stored)

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> JobTurn | None:
        """None when nothing can have changed."""
        if stored is not None and _settled(wish, stored):
            return self._tidy(wish, stored, now)
        if wish.order is not None and _is_launched(stored) and self._is_quiet(wish, now):
            return None
        track = track_of(stored)
        if wish.order is None:
            return self._retire(wish, stored, track)
        if not isinstance(wish.order, JobOrder):
            raise Refused("BadRequest", f"{wish.uid} is not a job")
        if stored is None:
            track = self._unremembered(wish.uid)
        self._looked[wish.uid] = (now, wish.generation)
        track = self._step(wish, wish.order, track, now)
        return JobTurn(
            status_of(track, wish.order, self._rules.lifecycle), {"track": track.model_dump(mode="json")}, track.attempt
        )

    def _unremembered(self, uid: str) -> JobTrack:
        """A job of which the ledger knows nothing: new, or its memory was removed together with its pods.

        The gateway then knows which attempts there were; their logs and receipts must not be mixed with another's.
        """
        if self._here.get(uid):
            return JobTrack()
        lived = self._gateway.lived(uid)
        return JobTrack(attempt=lived, launched=True) if lived else JobTrack()

    def _is_news(self, uid: str) -> bool:
        return self._news is None or uid in self._news

    def _is_quiet(self, wish: Wish, now: datetime) -> bool:
        """Nothing was heard of it, and it was looked at a short while ago."""
        looked, generation = self._looked.get(wish.uid, (None, 0))
        if looked is None or generation != wish.generation or self._is_news(wish.uid):
            return False
        return (now - looked).total_seconds() < self._rules.recheck_s

    def _step(self, wish: Wish, order: JobOrder, track: JobTrack, now: datetime) -> JobTrack:
        before = track.phase
        try:
            self._renew(wish)
        except Refused as error:
            return refused(track, error.code, error.message, now)
        track, effects = decide(order, track, self._look(wish.uid, order, track), now, self._rules.lifecycle)
        for effect in effects:
            track = self._apply(wish, order, track, effect, now)
        if track.phase in TERMINAL and before not in TERMINAL:
            self._end(wish, track)
        return track

    def _end(self, wish: Wish, track: JobTrack) -> None:
        if track.code == "EnvironmentFailed" and wish.grant:
            self._gateway.append_log(wish.uid, track.attempt, ENVIRONMENT_LOG, f"{track.reason}\n".encode())
        self._gateway.dismiss(wish.uid)
        self._looked.pop(wish.uid, None)

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
            track = track.model_copy(update={"findings": of_refusal(error)})
            return refused(track, error.code, error.message, now)
        except FerryError as error:
            return track.model_copy(update={"reason": error.message})
        return track

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
        self._alive.add(wish.uid)

    def _renew(self, wish: Wish) -> None:
        """Tells the gateway of a new grant once; work that runs goes on under it."""
        if wish.grant and self._granted.get(wish.uid) != wish.generation:
            try:
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
