"""The ledger: on disk before it returns, and the server's word is never overwritten by the site's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import JobStatus
from site_play import a_job, a_wish

STATUS = StoredStatus(uid="job.w.j", generation=1, version=3, status=JobStatus(phase="Running"))


@pytest.fixture
def ledger(tmp_path: Path) -> LocalLedger:
    return LocalLedger(tmp_path / "site.db")


def test_everything_survives_a_kill(ledger: LocalLedger, tmp_path: Path) -> None:
    ledger.take([a_wish(a_job())], "e1", 7)
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    again = LocalLedger(tmp_path / "site.db")
    assert (again.epoch(), again.cursor()) == ("e1", 7)
    assert again.wishes() == [a_wish(a_job())]
    stored = again.status("job.w.j")
    assert stored == STATUS.model_copy(update={"acknowledged": 3})


def test_wishes_come_in_the_order_of_their_cursors(ledger: LocalLedger) -> None:
    ledger.take([a_wish(a_job(), uid="job.w.b", cursor=2), a_wish(a_job(), uid="job.w.a", cursor=5)], "e1", 5)
    ledger.take([a_wish(a_job(), uid="job.w.b", cursor=9, generation=2)], "e1", 9)
    assert [wish.uid for wish in ledger.wishes()] == ["job.w.a", "job.w.b"]


def test_what_the_server_said_meanwhile_is_kept(ledger: LocalLedger) -> None:
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.put_statuses([STATUS.model_copy(update={"version": 4, "acknowledged": 0})])
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert (stored.version, stored.acknowledged, stored.unsent) == (4, 3, True)


def test_acknowledgements_never_go_back_or_beyond(ledger: LocalLedger) -> None:
    ledger.put_statuses([STATUS])
    ledger.acknowledge([("job.w.j", 1, 3)], [])
    ledger.acknowledge([("job.w.j", 1, 2), ("job.w.j", 1, 99), ("job.w.other", 1, 1)], ["job.w.never"])
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert stored.acknowledged == 3


def test_relisting_orphans_and_adopts(ledger: LocalLedger) -> None:
    ledger.take([a_wish(a_job()), a_wish(a_job(), uid="job.w.k", cursor=2)], "e1", 2)
    ledger.put_statuses([STATUS, STATUS.model_copy(update={"uid": "job.w.k"})])
    ledger.acknowledge([("job.w.j", 1, 3), ("job.w.k", 1, 3)], [])
    ledger.relist([a_wish(a_job())], "e2", 1)
    known, lost = ledger.status("job.w.j"), ledger.status("job.w.k")
    assert known is not None
    assert lost is not None
    assert (known.orphaned, known.unsent, lost.orphaned, lost.unsent) == (False, True, True, True)
    ledger.take([a_wish(a_job(), uid="job.w.k", cursor=3)], "e2", 3)
    lost = ledger.status("job.w.k")
    assert lost is not None
    assert not lost.orphaned


def test_what_was_said_of_a_later_generation_does_not_outrank_a_restored_server(ledger: LocalLedger) -> None:
    ledger.take([a_wish(a_job(), generation=7)], "e1", 1)
    ledger.put_statuses([STATUS.model_copy(update={"generation": 7})])
    ledger.relist([a_wish(a_job(), generation=5)], "e2", 1)
    stored = ledger.status("job.w.j")
    assert stored is not None
    assert (stored.generation, stored.unsent) == (0, True)


def test_only_tombstones_are_buried(ledger: LocalLedger) -> None:
    ledger.take([a_wish(a_job())], "e1", 1)
    ledger.put_statuses([STATUS])
    ledger.bury("job.w.j", remember=False)
    assert ledger.wish("job.w.j") is not None
    ledger.take([a_wish(None, generation=2, cursor=2)], "e1", 2)
    ledger.bury("job.w.j", remember=True)
    assert ledger.wish("job.w.j") is None
    assert ledger.status("job.w.j") is not None
    ledger.bury("job.w.j", remember=False)
    assert ledger.status("job.w.j") is None


def test_nothing_new_writes_nothing(ledger: LocalLedger, tmp_path: Path) -> None:
    ledger.take([], "e1", 1)
    before = (tmp_path / "site.db-wal").stat().st_size
    for _ in range(5):
        ledger.take([], "e1", 1)
        ledger.put_statuses([])
        ledger.acknowledge([], [])
    assert (tmp_path / "site.db-wal").stat().st_size == before
