"""The operator's turn: one write, news only when there are some, and no uid that stops the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.operator import Hooks, Operator, next_version
from ferryml.agent.ports import EndpointTurn
from ferryml.agent.unread import Heard, Unread, Unreads
from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.errors import Refused
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, SettingsOrder
from ferryml.domain.seen import Launch, StoredStatus
from ferryml.domain.statuses import EndpointStatus, GoneStatus, JobStatus
from site_play import T0, PlayClock, PlayGateway, PlayMachine, a_job, a_wish


class Endpoints:
    """Answers what the test wants to be seen."""

    def __init__(self) -> None:
        self.status = EndpointStatus(state="Succeeded")
        self.error: Exception | None = None

    def turn(self, wish: Wish, stored: StoredStatus | None, now: datetime) -> EndpointTurn:
        if self.error:
            raise self.error
        return EndpointTurn(status=self.status, memory={"turns": 1})


class Place:
    def __init__(self, folder: Path) -> None:
        self.clock, self.machine, self.endpoints = PlayClock(), PlayMachine(), Endpoints()
        self.ledger = LocalLedger(folder / "site.db")
        jobs = JobOperator(self.machine, PlayGateway(self.machine), JobRules())
        self.settings: list[Any] = []
        self.unreads = Unreads()
        hooks = Hooks(self.endpoints, lambda said: self.settings.append(dict(said)), self.unreads)
        self.operator = Operator(self.ledger, jobs, hooks, self.clock, report_interval_s=5)

    def wishes(self, *wishes: Wish) -> None:
        self.ledger.take(wishes, "e", max(wish.cursor for wish in wishes))

    def status(self, uid: str) -> Any:
        return self.ledger.status(uid)

    def version(self, uid: str) -> int:
        stored = self.ledger.status(uid)
        return stored.version if stored else 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def an_endpoint(generation: int = 1) -> Wish:
    order = EndpointOrder(workspace="w", name="e", compute="c")
    return Wish(uid="endpoint.w.e", generation=generation, cursor=5, order=order)


def test_news_are_told_once(place: Place) -> None:
    place.wishes(a_wish(a_job()))
    assert place.operator.tick().told
    place.operator.tick()
    place.operator.tick()
    first = place.version("job.w.j")
    turn = place.operator.tick()
    assert (turn.told, turn.busy, place.version("job.w.j")) == (False, True, first)


def test_a_new_generation_is_news_even_when_nothing_else_is(place: Place) -> None:
    place.wishes(an_endpoint())
    place.operator.tick()
    first = place.version("endpoint.w.e")
    place.wishes(an_endpoint(generation=2))
    assert place.operator.tick().told
    assert place.version("endpoint.w.e") > first


def test_running_figures_are_told_at_intervals_and_changes_at_once(place: Place) -> None:
    place.wishes(an_endpoint())
    assert place.operator.tick().told
    place.endpoints.status = EndpointStatus(state="Succeeded", counters={"r1": {"requests": 1}})
    assert not place.operator.tick().told
    place.clock.passes(5)
    assert place.operator.tick().told
    place.endpoints.status = EndpointStatus(state="Failed", counters={"r1": {"requests": 1}})
    assert place.operator.tick().told


def test_one_broken_uid_does_not_stop_the_others(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.endpoints.error = ZeroDivisionError("bug")
    place.wishes(an_endpoint(), a_wish(a_job(), cursor=6))
    place.operator.tick()
    stored = place.ledger.status("job.w.j")
    assert stored is not None
    assert isinstance(stored.status, JobStatus)
    assert "endpoint.w.e: defect in its turn" in caplog.text


def test_settings_are_handed_on_once(place: Place) -> None:
    order = SettingsOrder(settings={"zone": "eu"})
    place.wishes(Wish(uid="settings.s", generation=1, cursor=3, order=order))
    place.operator.tick()
    place.operator.tick()
    assert place.settings == [{"zone": "eu"}]
    assert place.ledger.statuses() == []


def test_versions_rise_even_without_a_memory() -> None:
    later = T0.replace(year=T0.year + 1)
    assert next_version(7, T0) == int(T0.timestamp() * 1000)
    assert next_version(int(later.timestamp() * 1000), T0) == int(later.timestamp() * 1000) + 1


def test_after_a_restart_work_is_adopted_and_goes_on(place: Place, tmp_path: Path) -> None:
    place.wishes(a_wish(a_job()))
    for _ in range(3):
        place.operator.tick()
    place.ledger.close()
    again = Place(tmp_path)
    again.machine.attempts = place.machine.attempts
    again.machine.environments = place.machine.environments
    again.operator.tick()
    again.machine.ends("job.w.j")
    again.operator.tick()
    stored = again.ledger.status("job.w.j")
    assert stored is not None
    assert isinstance(stored.status, JobStatus)
    assert stored.status.phase == "Completed"
    assert again.machine.launches == []


def test_what_goes_on_under_an_older_order_says_so_and_stops_saying_so(place: Place) -> None:
    place.wishes(an_endpoint(), a_wish(a_job(), cursor=6))
    for _ in range(3):
        place.operator.tick()
    parts = [
        Unread(uid=uid, generation=2, cursor=7, parts="order.x") for uid in ("endpoint.w.e", "job.w.j", "feedback.f")
    ]
    place.unreads.note(Heard(epoch="e", cursor=7, server_time=T0, unread=tuple(parts)), T0)
    assert place.operator.tick().told
    endpoint, job = place.status("endpoint.w.e"), place.status("job.w.j")
    assert (endpoint.generation, endpoint.status.code) == (1, "AgentTooOld")
    assert [one.code for one in job.status.findings] == ["AgentTooOld"]
    assert not place.operator.tick().told
    place.unreads.clear()
    assert place.operator.tick().told
    assert place.status("endpoint.w.e").status == place.endpoints.status
    assert place.status("job.w.j").status.findings == ()


class SlowMachine(PlayMachine):
    """Attempts are launched only once `together` of them are asked for at the same time."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.meet = threading.Barrier(together, timeout=5)
        self.refuses: set[str] = set()
        self.before: Callable[[str], None] = lambda uid: None

    def launch(self, launch: Launch) -> None:
        self.before(launch.uid)
        self.meet.wait()
        if launch.uid in self.refuses:
            raise Refused("ClusterRefused", "no")
        super().launch(launch)


def many(place: Place, count: int) -> list[str]:
    names = [f"j{number:02d}" for number in range(count)]
    wishes = [a_wish(a_job(name), uid=f"job.w.{name}", cursor=10 + n) for n, name in enumerate(names)]
    place.wishes(*wishes)
    return [wish.uid for wish in wishes]


def crowded(folder: Path, together: int, **rules: Any) -> tuple[Place, SlowMachine]:
    place, machine = Place(folder), SlowMachine(together)
    place.machine = machine
    machine.prepare(a_job().environment)
    jobs = JobOperator(machine, PlayGateway(machine), JobRules(**{"side_by_side": 4, "max_parallel": 99, **rules}))
    place.operator = Operator(place.ledger, jobs, Hooks(), place.clock)
    return place, machine


def phases(place: Place, uids: list[str]) -> list[str]:
    return [place.status(uid).status.phase if place.status(uid) else "" for uid in uids]


def test_attempts_are_started_side_by_side_and_told_together(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=4)
    uids = many(place, 8)
    place.operator.tick()
    assert phases(place, uids) == ["Starting"] * 8
    assert sorted(launch.uid for launch in machine.launches) == uids
    place.operator.tick()
    assert phases(place, uids) == ["Running"] * 8
    assert len(machine.launches) == 8
    place.operator.close()


def test_places_are_given_in_the_order_of_the_list_before_anything_starts(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=3, max_parallel=3)
    uids = many(place, 6)
    for _ in range(3):
        place.operator.tick()
    assert phases(place, uids) == ["Running"] * 3 + ["Queued"] * 3
    assert sorted(launch.uid for launch in machine.launches) == uids[:3]
    for uid in uids[:3]:
        machine.ends(uid)
    for _ in range(3):
        place.operator.tick()
    assert phases(place, uids)[3:] == ["Running"] * 3
    place.operator.close()


def test_one_that_is_refused_fails_alone(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=2)
    uids = many(place, 4)
    machine.refuses.add(uids[1])
    for _ in range(3):
        place.operator.tick()
    assert phases(place, uids) == ["Running", "Failed", "Running", "Running"]
    place.operator.close()


def test_a_cancel_that_comes_while_others_start_is_before_the_launch(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=1, side_by_side=2)
    uids = many(place, 3)
    taken = threading.Lock()
    # the first to begin brings the news of a cancel of the last, which has not begun with two at once
    held = threading.Event()
    first = [True]

    def before(uid: str) -> None:
        with taken:
            mine, first[0] = first[0], False
        if mine:
            place.wishes(a_wish(a_job("j02", cancel=True), uid=uids[2], generation=2, cursor=20))
            held.set()
        assert held.wait(5)

    machine.before = before
    place.operator.tick()
    assert sorted(launch.uid for launch in machine.launches) == uids[:2]
    place.operator.tick()
    assert phases(place, uids)[2] == "Canceled"
    assert len(machine.launches) == 2
    place.operator.close()


def test_a_long_row_is_started_in_parts_and_nobody_is_left_out(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=1, starts_a_turn=3)
    uids = many(place, 7)
    assert place.operator.tick().more
    assert phases(place, uids) == ["Starting"] * 3 + [""] * 4
    turns = 2
    while place.operator.tick().more:
        assert len(machine.launches) <= 3 * turns
        turns += 1
        assert turns < 9
    place.operator.tick()
    assert phases(place, uids) == ["Running"] * 7
    assert sorted(launch.uid for launch in machine.launches) == uids
    place.operator.close()


def test_who_ends_something_does_not_wait_behind_a_long_row(tmp_path: Path) -> None:
    place, _ = crowded(tmp_path, together=1, starts_a_turn=1)
    uids = many(place, 3)
    canceled = a_wish(a_job("c", cancel=True), uid="job.w.c", cursor=30)
    buried = a_wish(None, uid="job.w.b", cursor=31)
    place.wishes(canceled, buried)
    place.operator.tick()
    assert phases(place, [uids[0], "job.w.c"]) == ["Starting", "Canceled"]
    assert isinstance(place.status("job.w.b").status, GoneStatus)
    place.operator.close()


def test_a_turn_under_way_ends_when_the_agent_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place, machine = crowded(tmp_path, together=1, side_by_side=2)
    uids = many(place, 6)
    began, go = threading.Semaphore(0), threading.Event()

    def before(uid: str) -> None:
        began.release()
        assert go.wait(5)

    machine.before = before
    turn = threading.Thread(target=place.operator.tick)
    turn.start()
    assert began.acquire(timeout=5)
    assert began.acquire(timeout=5)
    place.operator.close()
    go.set()
    turn.join(5)
    assert not turn.is_alive()
    assert phases(place, uids) == ["Starting"] * 2 + [""] * 4
    assert len(machine.launches) == 2
    assert "the agent ends" in caplog.text


def test_what_is_asked_about_jobs_nobody_knows_is_asked_at_once(tmp_path: Path) -> None:
    place, machine = crowded(tmp_path, together=1, side_by_side=3, starts_a_turn=3)
    meet = threading.Barrier(3, timeout=5)

    class Gateway(PlayGateway):
        def lived(self, uid: str) -> int:
            meet.wait()
            return 2 if uid == "job.w.j01" else 0

    gateway = Gateway(machine)
    gateway.forged.add("grant-7")
    jobs = JobOperator(machine, gateway, JobRules(side_by_side=3, starts_a_turn=3))
    place.operator = Operator(place.ledger, jobs, Hooks(), place.clock)
    uids = many(place, 2)
    place.wishes(a_wish(a_job("forged"), uid="job.w.forged", generation=7, cursor=40))
    place.operator.tick()
    assert phases(place, [*uids, "job.w.forged"]) == ["Starting", "Queued", "Failed"]
    assert place.status("job.w.j01").attempt == 3
    place.operator.close()
