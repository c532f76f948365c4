"""Orders of a newer server, one by one: what is read, what is not, and what is told of it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ferryml.agent.unread import CODE, MOST_TOLD, Heard, Unread, Unreads, heard, noticed
from ferryml.domain.link import Heartbeat
from ferryml.domain.orders import EndpointOrder
from ferryml.domain.sparse import sparse
from ferryml.domain.statuses import EndpointStatus, Finding, GoneStatus, JobStatus
from site_play import T0, a_job, a_wish


def answer(*wishes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"epoch": "e1", "cursor": 9, "wishes": list(wishes), "server_time": T0.isoformat(), **more}


def future(name: str, **changes: Any) -> dict[str, Any]:
    """A wish whose order asks for something that there is no word for yet."""
    said = sparse(a_wish(a_job(name, **changes), uid=f"job.w.{name}"))
    said["order"]["priority"] = "high"
    return said


def unread(uid: str = "job.w.a", generation: int = 1, parts: str = "order.Job.priority") -> Unread:
    return Unread(uid=uid, generation=generation, cursor=1, parts=parts)


def an_answer(*found: Unread, wishes: tuple[Any, ...] = ()) -> Heard:
    return Heard(epoch="e1", cursor=1, server_time=T0, wishes=wishes, unread=found)


def test_one_that_cannot_be_read_leaves_the_others_alone() -> None:
    read = heard(answer(sparse(a_wish(a_job())), future("a"), sparse(a_wish(None, uid="job.w.b"))))
    assert [wish.uid for wish in read.wishes] == ["job.w.j", "job.w.b"]
    assert read.unread == (unread(),)
    assert (read.cursor, read.epoch) == (9, "e1")


@pytest.mark.parametrize(
    ("order", "parts"),
    [
        ({"kind": "BatchEndpoint", "name": "b"}, "BatchEndpoint"),
        ({"kind": "Endpoint", "workspace": "w", "name": "e", "compute": "c", "revisions": [{"new": 1}]}, "revision"),
        ({"kind": "Job"}, "order.Job.name: Field required"),
        ("nonsense", "order"),
        ({}, "order"),
    ],
)
def test_kinds_and_shapes_of_later(order: Any, parts: str) -> None:
    read = heard(answer({"uid": "batch.w.b", "generation": 3, "cursor": 4, "order": order}))
    assert [(one.uid, one.generation, one.cursor) for one in read.unread] == [("batch.w.b", 3, 4)]
    assert parts in read.unread[0].parts


def test_a_wish_itself_may_have_grown() -> None:
    read = heard(answer({**sparse(a_wish(None)), "deadline": 1}))
    assert (read.wishes, read.unread[0].parts) == ((), "deadline")


def test_who_cancels_is_understood_whatever_else_the_order_says() -> None:
    read = heard(answer(future("a", cancel=True)))
    assert read.unread == ()
    assert read.wishes[0].order == a_job("a", cancel=True)


def test_a_cancel_that_lacks_what_we_need_is_not_read() -> None:
    wish = future("a", cancel=True)
    del wish["order"]["environment"]
    assert [one.uid for one in heard(answer(wish)).unread] == ["job.w.a"]


def test_the_envelope_may_tell_more_and_must_not_lack_anything() -> None:
    assert heard(answer(load=3)).cursor == 9
    assert heard(answer(unread=[{"uid": "forged"}])).unread == ()
    for broken in (answer({"generation": 1}), answer(7), {"wishes": []}, {**answer(), "wishes": "x"}, [], "x", None):  # type: ignore[arg-type]
        with pytest.raises(ValidationError):
            heard(broken)


def test_each_is_told_once_until_it_is_asked_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    unreads = Unreads()
    unreads.note(an_answer(unread()), T0)
    (report,) = unreads.untold()
    assert (report.uid, report.generation, report.attempt) == ("job.w.a", 0, 1)
    assert isinstance(report.status, JobStatus)
    assert (report.status.phase, report.status.code) == ("Queued", CODE)
    assert "order.Job.priority" in report.status.reason
    assert report.status.findings[0].code == CODE
    unreads.told(["job.w.a", "job.w.unknown"])
    unreads.note(an_answer(unread()), T0 + timedelta(seconds=1))
    assert unreads.untold() == []
    unreads.note(an_answer(unread(generation=2)), T0 + timedelta(seconds=2))
    (again,) = unreads.untold()
    assert again.version > report.version
    assert caplog.text.count("an order cannot be read") == 2


def test_what_can_be_read_again_is_forgotten() -> None:
    unreads = Unreads()
    unreads.note(an_answer(unread(), unread("job.w.j")), T0)
    unreads.note(an_answer(wishes=(a_wish(a_job()),)), T0)
    assert unreads.get("job.w.j") is None
    assert unreads.get("job.w.a") == unread()
    unreads.clear()
    assert unreads.get("job.w.a") is None


def test_an_endpoint_that_was_never_begun_says_so_and_ends_no_operation() -> None:
    unreads = Unreads()
    unreads.note(an_answer(unread("endpoint.w.e", generation=4), unread("feedback.f"), unread("batch.b")), T0)
    (report,) = unreads.untold()
    assert (report.uid, report.generation) == ("endpoint.w.e", 0)
    assert isinstance(report.status, EndpointStatus)
    assert (report.status.state, report.status.code) == ("Creating", CODE)


def test_a_heartbeat_names_some_and_counts_all() -> None:
    unreads, beat = Unreads(), Heartbeat(version="1", inventory={"cpus": 2}, at=T0)
    assert unreads.tells(beat) == beat
    unreads.note(an_answer(*(unread(f"job.w.{number:03d}") for number in range(MOST_TOLD + 5))), T0)
    told = unreads.tells(beat).inventory
    assert (told["cpus"], told["unread_count"], len(told["unread"])) == (2, MOST_TOLD + 5, MOST_TOLD)
    assert told["unread"]["job.w.000"] == "order.Job.priority"


def test_what_goes_on_says_what_it_does_not_do() -> None:
    running = noticed(JobStatus(phase="Running", findings=(Finding(code="X", cause="y"),)), unread())
    assert isinstance(running, JobStatus)
    assert (running.phase, running.code, [one.code for one in running.findings]) == ("Running", "", ["X", CODE])
    assert "too old" in running.reason
    waiting = noticed(JobStatus(phase="Queued", reason="no room"), unread())
    assert isinstance(waiting, JobStatus)
    assert waiting.reason == "no room"
    serving = noticed(EndpointStatus(state="Succeeded"), unread())
    assert isinstance(serving, EndpointStatus)
    assert (serving.state, serving.code) == ("Succeeded", CODE)


@pytest.mark.parametrize(
    "status",
    [
        JobStatus(phase="Completed"), GoneStatus(), EndpointStatus(state="Succeeded", code="NoCapacity", reason="full"),
    ],
)  # fmt: skip
def test_what_has_ended_or_has_other_trouble_stays_as_it_is(status: Any) -> None:
    assert noticed(status, unread()) == status
    assert noticed(EndpointStatus(state="Succeeded"), None) == EndpointStatus(state="Succeeded")


def test_an_endpoints_order_of_today_is_read_whole() -> None:
    wish = a_wish(a_job()).model_copy(update={"order": EndpointOrder(workspace="w", name="e", compute="c")})
    assert heard(answer(sparse(wish))).wishes == (wish,)
