"""Every ledger: durable before it returns, and the server's word is never overwritten by the site's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ferryml.agent.ports import Ledger
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import GoneStatus, JobStatus
from kube_play import PlayKube
from site_play import T0, a_job, a_wish

STATUS = StoredStatus(uid="job.w.j", generation=1, version=3, status=JobStatus(phase="Completed"), at=T0)
Open = Callable[[], Ledger]


@pytest.fixture(params=["local", "kubernetes"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same ledger anew, as after a kill."""
    if request.param == "local":
        return lambda: LocalLedger(tmp_path / "site.db")
    kube = PlayKube({"default", "ferry-system"})

    def open_kube() -> Ledger:
        made = KubeLedger(kube, "ferry-system", (), lambda: T0)
        made.open()
        return made

    return open_kube


@pytest.fixture
def ledger(reopen: Open) -> Ledger:
    return reopen()


def test_everything_survives_a_kill(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(a_job())], "e1", 7)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    again = reopen()
    assert (again.epoch(), again.cursor()) == ("e1", 7)
    assert again.wishes() == [a_wish(a_job())]
    stored = again.status("job.w.j")
    assert stored is not None
    assert stored.acknowledged in (0, 3)  # telling it once more changes nothing
    assert stored.model_copy(update={"acknowledged": 0}) == STATUS


def test_wishes_of_every_kind_survive(ledger: Ledger, reopen: Open) -> None:
    gone = a_wish(None, uid="job.w.gone", cursor=3)
    endpoint = a_wish(None, uid="endpoint.w.e", cursor=4)
    ledger.take([gone, endpoint], "e1", 4)
    told = StoredStatus(uid="endpoint.w.e", generation=1, version=1, status=GoneStatus(), at=T0)
    ledger.put_statuses([told])
    again = reopen()
    assert again.wishes() == [gone, endpoint]
    assert again.status("endpoint.w.e") == told


def test_memory_survives_a_kill(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(a_job())], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"memory": {"track": {"phase": "Running", "attempt": 2}}})])
    stored = reopen().status("job.w.j")
    assert stored is not None
    assert stored.memory == {"track": {"phase": "Running", "attempt": 2}}


def test_the_latest_wish_of_a_uid_counts(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(a_job(environment_variables={"A": "1", "B": "2"}))], "e1", 1)
    newer = a_wish(a_job(environment_variables={"B": "3"}, cancel=True), generation=2, cursor=2)
    ledger.take([newer], "e1", 2)
    assert ledger.wish("job.w.j") == newer
    assert reopen().wish("job.w.j") == newer


def test_wishes_come_in_the_order_of_their_cursors(ledger: Ledger) -> None:
    ledger.take([a_wish(a_job(), uid="job.w.b", cursor=2), a_wish(a_job(), uid="job.w.a", cursor=5)], "e1", 5)
    ledger.take([a_wish(a_job(), uid="job.w.b", cursor=9, generation=2)], "e1", 9)
    assert [wish.uid for wish in ledger.wishes()] == ["job.w.a", "job.w.b"]


def test_what_the_server_said_meanwhile_is_kept(ledger: Ledger) -> None:
    ledger.take([a_wish(a_job())], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.put_statuses([STATUS.model_copy(update={"version": 4, "acknowledged": 0})])
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert (stored.version, stored.acknowledged, stored.unsent) == (4, 3, True)


def test_acknowledgements_never_go_back_or_beyond(ledger: Ledger) -> None:
    ledger.take([a_wish(a_job())], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.acknowledge([("job.w.j", 1, 2), ("job.w.j", 1, 99), ("job.w.other", 1, 1)], ["job.w.never"])
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert stored.acknowledged == 3


def test_relisting_orphans_and_adopts(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(a_job()), a_wish(a_job(), uid="job.w.k", cursor=2)], "e1", 2)
    ledger.put_statuses([STATUS, STATUS.model_copy(update={"uid": "job.w.k"})])
    ledger.acknowledge([("job.w.j", 1, 3), ("job.w.k", 1, 3)], [])
    ledger.relist([a_wish(a_job())], "e2", 1)
    known, lost = reopen().status("job.w.j"), reopen().status("job.w.k")
    assert known is not None
    assert lost is not None
    assert (known.orphaned, known.unsent, lost.orphaned, lost.unsent) == (False, True, True, True)
    ledger.take([a_wish(a_job(), uid="job.w.k", cursor=3)], "e2", 3)
    back = ledger.status("job.w.k")
    assert back is not None
    assert not back.orphaned


def test_unknown_ones_are_orphans_that_need_not_be_told_again(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(a_job())], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([], ["job.w.j"])
    stored = reopen().status("job.w.j")
    assert stored is not None
    assert (stored.orphaned, stored.unsent) == (True, False)


def test_what_was_said_of_a_later_generation_does_not_outrank_a_restored_server(ledger: Ledger) -> None:
    ledger.take([a_wish(a_job(), generation=7)], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"generation": 7})])
    ledger.relist([a_wish(a_job(), generation=5)], "e2", 1)
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert (stored.generation, stored.unsent) == (0, True)


@pytest.mark.parametrize("uid", ["job.w.j", "endpoint.w.e"])
def test_only_tombstones_are_buried(ledger: Ledger, reopen: Open, uid: str) -> None:
    order = a_job() if uid.startswith("job.") else None
    ledger.take([a_wish(order, uid=uid)], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"uid": uid})])
    if order is not None:
        ledger.bury(uid, remember=False)
        assert ledger.wish(uid) is not None
    ledger.take([a_wish(None, uid=uid, generation=2, cursor=2)], "e1", 2)
    ledger.bury(uid, remember=True)
    for one in (ledger, reopen()):
        assert one.wish(uid) is None
        assert one.status(uid) is not None
    ledger.bury(uid, remember=False)
    for one in (ledger, reopen()):
        assert one.status(uid) is None


def test_what_was_buried_may_be_wished_for_again(ledger: Ledger, reopen: Open) -> None:
    ledger.take([a_wish(None)], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.bury("job.w.j", remember=True)
    ledger.take([a_wish(a_job(), cursor=2)], "e1", 2)
    for one in (ledger, reopen()):
        assert one.wish("job.w.j") == a_wish(a_job(), cursor=2)
        assert one.status("job.w.j") is not None
