"""Connections: whose they are, how long they live, and bytes in order however often they are said."""

import base64
import threading
from datetime import timedelta

import pytest

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.control import connections, sites
from ferryml.domain.access import Caller
from ferryml.domain.connection import ConnectionAsk, Piece
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from ferryml.domain.link import Heartbeat

SCIENTIST = Caller("dan", "data-scientist", WORKSPACE)
ASK = ConnectionAsk(command=("sh",))


def piece(data=b"", offset=0, over=False):
    return Piece(offset=offset, data=base64.b64encode(data).decode(), over=over)


def told(found):
    return base64.b64decode(found.data), found.over


@pytest.fixture
def job(play):
    """A running job on a site that allows shells."""
    play.site()
    beat = Heartbeat(version="1", capabilities=("jobs", "connect"), at=play.dice.now())
    sites.heartbeat(play.deps, "cloud", beat)
    return play.running()


@pytest.fixture
def row(play, job):
    made = connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)
    return connections.mine(play.deps, OWNER, WORKSPACE, made["id"])


def test_the_site_hears_of_it_and_nobody_else(play, job, row):
    (found,) = connections.of_site(play.deps, "cloud", 0).connections
    assert (found.id, found.uid, found.attempt, found.ask) == (row.name, f"job.{WORKSPACE}.{job}", 1, ASK)
    assert connections.of_site(play.deps, "other", 0).connections == ()
    with pytest.raises(NotFound):
        connections.theirs(play.deps, "other", row.name)
    with pytest.raises(NotFound):
        connections.mine(play.deps, SCIENTIST, WORKSPACE, row.name)
    with play.deps.store.read() as tx:
        assert [one.subject for one in tx.audits(WORKSPACE) if one.verb == "job.connect"] == [f"job:{job}"]


def test_only_the_owner_of_a_running_job_connects(play, job):
    with pytest.raises(Forbidden, match="only they"):
        connections.open_(play.deps, SCIENTIST, WORKSPACE, job, ASK)
    play.reports("cloud", job, "Completed", 9)
    play.turns()
    with pytest.raises(Conflict, match="Completed"):
        connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)


def test_a_site_must_allow_it(play):
    play.site()
    job = play.running()
    with pytest.raises(Refused, match="lets nobody connect"):
        connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)


def test_a_shell_shows_nothing_that_is_bound(play):
    job = bound_job(play, release={"logs": "allow"})
    play.reports("onprem", job, "Running")
    play.turns()
    with pytest.raises(Forbidden) as caught:
        connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)
    assert caught.value.code == "ResidencyViolation"


def test_only_so_many_are_open(play, job, monkeypatch):
    monkeypatch.setattr(connections, "PER_SITE", 2)
    made = [connections.open_(play.deps, OWNER, WORKSPACE, job, ASK) for _ in range(2)]
    with pytest.raises(Refused, match="2 connections") as caught:
        connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)
    assert caught.value.code == "LimitExceeded"
    connections.close(play.deps, connections.mine(play.deps, OWNER, WORKSPACE, made[0]["id"]))
    connections.open_(play.deps, OWNER, WORKSPACE, job, ASK)


def test_bytes_are_said_once_however_often_they_are_sent(play, row):
    assert connections.say(play.deps, row, "in", piece(b"abc")) == 3
    assert connections.say(play.deps, row, "in", piece(b"abc")) == 3
    assert connections.say(play.deps, row, "in", piece(b"cde", 2)) == 5
    with pytest.raises(Refused) as caught:
        connections.say(play.deps, row, "in", piece(b"x", 9))
    assert caught.value.code == "OffsetMismatch"
    assert told(connections.hear(play.deps, row, "in", 1, 0)) == (b"bcde", False)
    assert told(connections.hear(play.deps, row, "out", 0, 0)) == (b"", False)
    for wrong in (Piece(data="!"), piece(b"x" * 300_000)):
        with pytest.raises(Refused):
            connections.say(play.deps, row, "in", wrong)


def test_a_reader_waits_for_the_next_bytes(play, row):
    found = []
    waiting = threading.Thread(target=lambda: found.append(connections.hear(play.deps, row, "out", 0, 20)))
    waiting.start()
    connections.say(play.deps, row, "out", piece(b"at last"))
    waiting.join(10)
    assert told(found[0]) == (b"at last", False)


def test_what_was_said_last_is_heard_after_the_end(play, row):
    connections.say(play.deps, row, "out", piece(b"bye", over=True))
    assert told(connections.hear(play.deps, row, "out", 0, 0)) == (b"bye", False)
    assert told(connections.hear(play.deps, row, "out", 3, 0)) == (b"", True)
    with pytest.raises(Conflict):
        connections.say(play.deps, row, "in", piece(b"x"))
    assert connections.of_site(play.deps, "cloud", 0).connections == ()


def test_a_connection_has_its_time_and_leaves_nothing(play, row):
    connections.say(play.deps, row, "in", piece(b"secret"))
    assert connections.sweep(play.deps) == 0
    play.dice.passes(play.settings.connect_limit_s + 1)
    assert told(connections.hear(play.deps, row, "in", 6, 0)) == (b"", True)
    with pytest.raises(Conflict):
        connections.say(play.deps, row, "in", piece(b"x", 6))
    play.dice.passes(timedelta(minutes=2).total_seconds())
    assert connections.sweep(play.deps) == 1
    with play.deps.store.read() as tx:
        assert tx.list_logs(WORKSPACE, f"connection.{row.name}") == []


def test_who_asked_may_end_it(play, row):
    connections.close(play.deps, row)
    connections.close(play.deps, row)
    assert told(connections.hear(play.deps, row, "in", 0, 20)) == (b"", True)
