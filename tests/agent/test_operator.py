"""The operator's turn: one write, news only when there are some, and no uid that stops the others."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.operator import Hooks, Operator, next_version
from ferryml.agent.ports import EndpointTurn
from ferryml.agent.unread import Heard, Unread, Unreads
from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, SettingsOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import EndpointStatus, JobStatus
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
