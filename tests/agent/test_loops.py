"""The loops: they come back by themselves, ask less often while the link is down, and end when told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.loops import Backoff, LinkState, Loops, Pace
from ferryml.agent.operator import Hooks, Operator
from ferryml.agent.sync import Sync
from ferryml.agent.unread import Heard
from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Heartbeat, HeartbeatAnswer, Report, ReportsAnswer
from site_play import T0, PlayClock, PlayGateway, PlayMachine, a_job, a_wish


class Server:
    """Fails as often as told, then gives one job and takes reports."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.told: list[Report] = []
        self.beats = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def _stumble(self) -> None:
        with self._lock:
            self.failures -= 1
            if self.failures >= 0:
                raise Unavailable("ServerUnreachable", "down")

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard:
        self._stumble()
        wishes = (a_wish(a_job()),) if after == 0 else ()
        if after:
            threading.Event().wait(0.02)
        return Heard(epoch="e1", cursor=1, wishes=wishes, server_time=T0)

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        self._stumble()
        self.told += reports
        if any(getattr(report.status, "phase", "") == "Completed" for report in reports):
            self.ended.set()
        accepted = tuple((r.uid, r.attempt, r.version) for r in reports)
        return ReportsAnswer(epoch="e1", accepted=accepted, server_time=T0)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        if self.beats == 0:
            self.beats += 1
            raise ZeroDivisionError("a defect must not end the loop")
        self.beats += 1
        return HeartbeatAnswer(server_time=T0)


class QuickMachine(PlayMachine):
    """The disk is full at the first look; at the second every job ends."""

    full = True

    def observe(self, uid: str, attempt: int):  # type: ignore[no-untyped-def]
        if self.full:
            self.full = False
            raise OSError(28, "no room left; that must not end the loop")
        self.ends(uid)
        return super().observe(uid, attempt)


@pytest.mark.parametrize("failures", [0, 5])
def test_a_job_goes_all_the_way_however_the_link_stumbles(tmp_path: Path, failures: int) -> None:
    server, ledger, machine = Server(failures), LocalLedger(tmp_path / "site.db"), QuickMachine()
    jobs = JobOperator(machine, PlayGateway(machine), JobRules())
    operator = Operator(ledger, jobs, Hooks(), PlayClock())
    pace = Pace(poll_s=0.01, retry_min_s=0.001, retry_max_s=0.01, heartbeat_s=0.01, busy_tick_s=0.005)
    beat = Heartbeat(version="1", at=T0)
    loops = Loops(server, Sync(server, ledger, PlayClock()), operator, lambda: beat, lambda a: None, pace, lambda: 0.5)
    loops.start()
    assert server.ended.wait(10)
    loops.stop()
    assert server.told[0].uid == "job.w.j"
    assert server.beats > 1


def test_what_never_started_can_be_stopped(tmp_path: Path) -> None:
    """Else a site that could not begin would say that, and not why."""
    server, ledger, machine = Server(0), LocalLedger(tmp_path / "site.db"), QuickMachine()
    operator = Operator(ledger, JobOperator(machine, PlayGateway(machine), JobRules()), Hooks(), PlayClock())
    beat = Heartbeat(version="1", at=T0)
    sync = Sync(server, ledger, PlayClock())
    Loops(server, sync, operator, lambda: beat, lambda a: None, Pace(), lambda: 0.5).stop()


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    backoff = Backoff(1, 5, lambda: 1.0)
    assert [backoff.failed() for _ in range(4)] == [1, 2, 4, 5]
    backoff.worked()
    assert backoff.failed() == 1
    assert Backoff(1, 5, lambda: 0.0).failed() == 0.5


def test_the_state_of_the_link_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    state = LinkState()
    caplog.set_level("INFO")
    for _ in range(3):
        state.failed(Unavailable("ServerUnreachable", "refused"))
        state.failed(Unavailable("ServerUnreachable", "reset"))
    assert (state.up, state.reason) == (False, "reset")
    state.worked()
    state.worked()
    assert state.up
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


class Listener(Server):
    """Counts heartbeats aloud; nothing else is asked of it."""

    def __init__(self) -> None:
        super().__init__(failures=10**9)
        self.heard = threading.Semaphore(0)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        self.heard.release()
        return HeartbeatAnswer(server_time=T0)


def test_a_heartbeat_comes_at_once_when_it_is_asked_for(tmp_path: Path) -> None:
    link, clock, ledger, machine = Listener(), PlayClock(), LocalLedger(tmp_path / "site.db"), QuickMachine()
    operator = Operator(ledger, JobOperator(machine, PlayGateway(machine), JobRules()), Hooks(), clock)
    pace = Pace(heartbeat_s=1000, retry_max_s=0.01)
    beat = Heartbeat(version="1", at=T0)
    loops = Loops(link, Sync(link, ledger, clock), operator, lambda: beat, lambda answer: None, pace, lambda: 0.5)
    loops.start()
    assert link.heard.acquire(timeout=5)
    loops.beat()
    assert link.heard.acquire(timeout=5)
    loops.stop()
    assert not link.heard.acquire(blocking=False)


def test_who_waits_is_told_when_another_loop_finds_the_server_again() -> None:
    state, back = LinkState(), threading.Event()
    state.failed(Unavailable("ServerUnreachable", "down"))

    def pausing() -> None:
        state.wait(60)
        back.set()

    waiting = threading.Thread(target=pausing)
    waiting.start()
    while not back.wait(0.01):
        state.failed(Unavailable("ServerUnreachable", "down"))
        state.worked()
    waiting.join(5)
    assert not waiting.is_alive()


def test_who_waits_only_behind_a_long_row_does_not_wait_for_the_next_tick(tmp_path: Path) -> None:
    server, ledger, machine = Server(0), LocalLedger(tmp_path / "site.db"), PlayMachine()
    machine.prepare(a_job().environment)
    wishes = [a_wish(a_job(f"j{n}"), uid=f"job.w.j{n}", cursor=n + 1) for n in range(5)]
    ledger.take(wishes, "e1", 5)
    started = threading.Semaphore(0)
    launch = machine.launch
    machine.launch = lambda one: (launch(one), started.release())  # type: ignore[assignment,func-returns-value]
    rules = JobRules(max_parallel=9, side_by_side=2, starts_a_turn=1)
    operator = Operator(ledger, JobOperator(machine, PlayGateway(machine), rules), Hooks(), PlayClock())
    beat, pace = Heartbeat(version="1", at=T0), Pace(retry_min_s=0.001, busy_tick_s=1000, idle_tick_s=1000)
    loops = Loops(server, Sync(server, ledger, PlayClock()), operator, lambda: beat, lambda a: None, pace, lambda: 0.5)
    operator_alone = loops._threads[0]
    operator_alone.start()
    for _ in wishes:
        assert started.acquire(timeout=5)
    loops.stop()
    assert not operator_alone.is_alive()
    assert len(machine.launches) == 5
