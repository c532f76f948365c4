"""Pull, push and relist, step by step; tests/contract/test_link_property.py does them in every order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ferryml.agent.sync import BATCH, Sync
from ferryml.agent.unread import CODE, Heard, Unread, Unreads
from ferryml.backends.local.ledger import LocalLedger
from ferryml.domain.errors import Conflict, Refused, Unavailable
from ferryml.domain.link import Heartbeat, HeartbeatAnswer, Report, ReportsAnswer, Wish
from ferryml.domain.seen import StatusOf, StoredStatus
from ferryml.domain.statuses import GoneStatus, JobStatus
from site_play import T0, PlayClock, a_job, a_wish


class Server:
    """As much of a server as the protocol shows."""

    def __init__(self) -> None:
        self.epoch, self.list, self.page = "e1", [a_wish(a_job())], 100
        self.told: list[Report] = []
        self.unknown: set[str] = set()
        self.pages = 0
        self.unread: list[Unread] = []

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard:
        self.pages += 1
        if epoch and epoch != self.epoch:
            return Heard(epoch=self.epoch, cursor=0, relist=True, server_time=T0)
        new = [wish for wish in self.list if wish.cursor > after][: self.page]
        cursor = new[-1].cursor if new else after
        more = bool(new) and cursor < max(wish.cursor for wish in self.list)
        unread = tuple(one for one in self.unread if one.cursor > after)
        cursor = max([cursor, *(one.cursor for one in unread)])
        return Heard(epoch=self.epoch, cursor=cursor, wishes=tuple(new), more=more, server_time=T0, unread=unread)

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        self.told += reports
        accepted = tuple((r.uid, r.attempt, r.version) for r in reports if r.uid not in self.unknown)
        return ReportsAnswer(epoch=self.epoch, accepted=accepted, unknown=tuple(self.unknown), server_time=T0)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        return HeartbeatAnswer(server_time=T0)


class Ends:
    def __init__(self, folder: Path) -> None:
        self.server, self.ledger = Server(), LocalLedger(folder / "site.db")
        self.unreads = Unreads()
        self.sync = Sync(self.server, self.ledger, PlayClock(), self.unreads)

    def decided(self, version: int, status: StatusOf, uid: str = "job.w.j") -> None:
        self.ledger.put_statuses([StoredStatus(uid=uid, generation=1, version=version, status=status, at=T0)])


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    return Ends(tmp_path)


RUNNING = JobStatus(phase="Running")


def test_pull_takes_what_is_new(ends: Ends) -> None:
    assert ends.sync.pull(0)
    assert [wish.uid for wish in ends.ledger.wishes()] == ["job.w.j"]
    assert (ends.ledger.epoch(), ends.ledger.cursor()) == ("e1", 1)
    assert not ends.sync.pull(0)


def test_an_empty_list_deletes_nothing(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.server.list = []
    ends.sync.pull(0)
    assert ends.ledger.wish("job.w.j") is not None


def test_push_tells_only_what_the_server_lacks(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    assert ends.sync.push() == 1
    assert ends.sync.push() == 0
    ends.decided(2, JobStatus(phase="Completed"))
    ends.sync.push()
    assert [report.version for report in ends.server.told] == [1, 2]


def test_many_reports_go_in_batches(ends: Ends) -> None:
    for number in range(BATCH + 1):
        ends.decided(1, RUNNING, uid=f"job.w.j{number}")
    assert ends.sync.push() == BATCH + 1


def test_a_new_epoch_relists_page_by_page_and_tells_everything_again(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    ends.sync.push()
    ends.server.epoch, ends.server.page = "e2", 1
    ends.server.list = [a_wish(a_job(), cursor=1), a_wish(a_job("k"), uid="job.w.k", cursor=2)]
    assert ends.sync.pull(0)
    assert [wish.uid for wish in ends.ledger.wishes()] == ["job.w.j", "job.w.k"]
    assert ends.sync.push() == 1


def test_what_a_restored_server_does_not_know_is_kept_and_told_once(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    ends.sync.push()
    ends.server.epoch, ends.server.list, ends.server.unknown = "e2", [], {"job.w.j"}
    ends.sync.pull(0)
    told = len(ends.server.told)
    ends.sync.push()
    ends.sync.push()
    stored = ends.ledger.status("job.w.j")
    assert len(ends.server.told) == told + 1
    assert stored is not None
    assert stored.orphaned
    assert ends.ledger.wish("job.w.j") is not None


def test_a_relist_cut_in_the_middle_changes_nothing(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.server.epoch, ends.server.page = "e2", 1
    ends.server.list = [a_wish(a_job("k"), uid="job.w.k", cursor=n, generation=n) for n in (1, 2)]
    whole = ends.server.wishes

    def cut(after: int, epoch: str, wait_s: float) -> Heard:
        if after == 1 and epoch == "e2":
            raise Unavailable("ServerUnreachable", "cut")
        return whole(after, epoch, wait_s)

    ends.server.wishes = cut  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        ends.sync.pull(0)
    assert ends.ledger.epoch() == "e1"
    assert [wish.uid for wish in ends.ledger.wishes()] == ["job.w.j"]


def test_a_server_that_always_asks_to_relist_is_refused(ends: Ends) -> None:
    answer = Heard(epoch="e1", cursor=0, relist=True, server_time=T0)
    ends.server.wishes = lambda after, epoch, wait_s: answer  # type: ignore[method-assign]
    with pytest.raises(Refused):
        ends.sync.pull(0)


def test_reports_under_an_old_epoch_lead_to_a_relist(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    ends.server.epoch = "e2"

    def refuse(epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        raise Conflict("EpochChanged", "relist")

    ends.server.report = refuse  # type: ignore[method-assign]
    assert ends.sync.push() == 0
    assert ends.ledger.epoch() == "e2"


def test_gone_jobs_are_remembered_and_gone_endpoints_forgotten(ends: Ends) -> None:
    ends.server.list = [a_wish(None), a_wish(None, uid="endpoint.w.e", cursor=2)]
    ends.sync.pull(0)
    ends.decided(1, GoneStatus())
    ends.decided(1, GoneStatus(), uid="endpoint.w.e")
    ends.sync.push()
    assert ends.ledger.wishes() == []
    assert [stored.uid for stored in ends.ledger.statuses()] == ["job.w.j"]


def test_an_endpoint_made_anew_while_its_end_is_reported_is_not_lost(ends: Ends) -> None:
    ends.server.list = [a_wish(None, uid="endpoint.w.e")]
    ends.sync.pull(0)
    ends.decided(1, GoneStatus(), uid="endpoint.w.e")
    again = Wish(uid="endpoint.w.e", generation=2, cursor=2, order=a_job(), grant="")
    ends.ledger.take([again], "e1", 2)
    ends.sync.push()
    assert ends.ledger.wish("endpoint.w.e") == again


def test_after_a_start_what_the_ledger_lost_meanwhile_is_asked_for_again(ends: Ends, tmp_path: Path) -> None:
    ends.server.list += [a_wish(a_job("k"), uid="job.w.k", cursor=2)]
    ends.sync.pull(0)
    lost = LocalLedger(tmp_path / "other.db")
    lost.take([ends.server.list[1]], "e1", 2)
    ends.server.page = 1
    again = Sync(ends.server, lost, PlayClock())
    assert again.pull(0)
    assert [wish.uid for wish in lost.wishes()] == ["job.w.j", "job.w.k"]
    assert lost.cursor() == 2
    pages = ends.server.pages
    assert not again.pull(0)
    assert ends.server.pages == pages + 1


def test_what_was_buried_here_and_not_yet_there_stays_buried(ends: Ends) -> None:
    ends.server.list = [a_wish(None, generation=2, cursor=2)]
    ends.sync.pull(0)
    gone = StoredStatus(uid="job.w.j", generation=2, version=4, status=GoneStatus(), at=T0)
    ends.ledger.put_statuses([gone])
    ends.sync.push()
    assert ends.ledger.wish("job.w.j") is None
    Sync(ends.server, ends.ledger, PlayClock()).pull(0)
    assert ends.ledger.wish("job.w.j") is None
    ends.server.list = [a_wish(a_job(), generation=3, cursor=3)]
    Sync(ends.server, ends.ledger, PlayClock()).pull(0)
    assert ends.ledger.wish("job.w.j") is not None


def test_a_new_epoch_at_the_start_is_a_relist(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    ends.sync.push()
    ends.server.epoch, ends.server.list = "e2", []
    assert Sync(ends.server, ends.ledger, PlayClock()).pull(0)
    assert ends.ledger.epoch() == "e2"
    assert [stored.orphaned for stored in ends.ledger.statuses()] == [True]


def unread(uid: str, cursor: int, generation: int = 1) -> Unread:
    return Unread(uid=uid, generation=generation, cursor=cursor, parts="order.Job.priority")


def test_what_cannot_be_read_is_told_once_and_keeps_nobody_waiting(ends: Ends) -> None:
    ends.server.unread = [unread("job.w.new", 2)]
    assert ends.sync.pull(0)
    assert ([wish.uid for wish in ends.ledger.wishes()], ends.ledger.cursor()) == (["job.w.j"], 2)
    assert ends.sync.push() == 1
    (told,) = ends.server.told
    assert isinstance(told.status, JobStatus)
    assert (told.uid, told.generation, told.status.code) == ("job.w.new", 0, CODE)
    assert ends.sync.push() == 0
    assert ends.ledger.statuses() == []


def test_what_runs_keeps_its_order_when_a_newer_one_cannot_be_read(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(1, RUNNING)
    before = ends.ledger.wish("job.w.j")
    ends.server.list = []
    ends.server.unread = [unread("job.w.j", 2, generation=2)]
    assert ends.sync.pull(0)
    assert ends.ledger.wish("job.w.j") == before
    assert ends.unreads.get("job.w.j") is not None
    ends.sync.push()
    assert [told.status for told in ends.server.told] == [RUNNING]


def test_an_upgraded_agent_reads_as_it_starts_what_it_could_not_read_before(ends: Ends) -> None:
    ends.server.unread = [unread("job.w.new", 2)]
    ends.sync.pull(0)
    ends.server.unread = []
    ends.server.list += [a_wish(a_job("new"), uid="job.w.new", cursor=2)]
    assert not ends.sync.pull(0)
    upgraded = Sync(ends.server, ends.ledger, PlayClock())
    assert upgraded.pull(0)
    assert [wish.uid for wish in ends.ledger.wishes()] == ["job.w.j", "job.w.new"]


def test_a_relist_orphans_nothing_that_it_lists_and_cannot_read(ends: Ends) -> None:
    ends.sync.pull(0)
    ends.decided(7, RUNNING)
    ends.sync.push()
    ends.server.epoch, ends.server.list = "e2", [a_wish(a_job("k"), uid="job.w.k")]
    ends.server.unread = [unread("job.w.j", 2, generation=3), unread("job.w.new", 3)]
    ends.sync.pull(0)
    kept, stored = ends.ledger.wish("job.w.j"), ends.ledger.status("job.w.j")
    assert kept is not None
    assert stored is not None
    assert (kept.order, kept.generation, stored.generation, stored.orphaned) == (a_job(), 0, 0, False)
    ends.server.told.clear()
    ends.sync.push()
    assert sorted((told.uid, told.generation) for told in ends.server.told) == [("job.w.j", 0), ("job.w.new", 0)]


def test_of_what_ended_here_nothing_more_is_said(ends: Ends) -> None:
    ends.decided(1, JobStatus(phase="Completed"), uid="job.w.done")
    ends.ledger.acknowledge([("job.w.done", 1, 1)], [])
    ends.server.unread = [unread("job.w.done", 2, generation=2)]
    ends.sync.pull(0)
    assert ends.sync.push() == 0
