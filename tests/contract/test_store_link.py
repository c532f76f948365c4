"""What every store must do for the link: wishes, reports, epoch, journal."""

from datetime import UTC, datetime

import pytest

from ferryml.domain.link import Report
from ferryml.domain.statuses import GoneStatus, JobStatus

AT = datetime(2030, 1, 1, tzinfo=UTC)


def a_report(version: int = 1, attempt: int = 1, generation: int = 1, uid: str = "job.vision.fox") -> Report:
    return Report(
        uid=uid,
        generation=generation,
        attempt=attempt,
        version=version,
        status=JobStatus(phase="Running", reason="because \x00 of bytes"),
        at=AT,
    )


def put(store, uid, order, site="onprem", grant=None):
    with store.begin() as tx:
        return tx.put_wish(site, uid, order, grant)


def cursors(store, after=0, limit=100, site="onprem"):
    with store.read() as tx:
        return [(wish.uid, wish.cursor) for wish in tx.wishes(site, after, limit)]


def test_a_wish_is_numbered_signed_and_listed(store):
    first = put(store, "a", {"kind": "Job", "x": 1}, grant=lambda generation: f"grant {generation}")
    assert (first.generation, first.cursor, first.grant) == (1, 1, "grant 1")
    put(store, "b", {"x": 1})
    changed = put(store, "a", {"kind": "Job", "x": 2}, grant=lambda generation: f"grant {generation}")
    assert (changed.generation, changed.cursor, changed.grant) == (2, 3, "grant 2")
    assert put(store, "a", {"x": 1}, site="cloud").cursor == 1
    assert cursors(store) == [("b", 2), ("a", 3)]
    assert cursors(store, after=2) == [("a", 3)]
    assert cursors(store, limit=1) == [("b", 2)]
    with store.read() as tx:
        assert tx.wish("onprem", "a") == changed
        assert tx.wish("cloud", "b") is None


def test_the_same_order_again_changes_nothing_and_signs_nothing(store):
    def never(generation):
        raise AssertionError("signed for nothing")

    first = put(store, "a", {"x": 1, "y": [1, {"b": 2, "c": None}]})
    assert put(store, "a", {"y": [1, {"c": None, "b": 2}], "x": 1}, grant=never) == first
    assert put(store, "b", {}).cursor == 2
    assert put(store, "a", {"x": True, "y": [1, {"b": 2, "c": None}]}).generation == 2


def test_a_tombstone_stays_until_dropped_and_generations_go_on(store):
    put(store, "a", {"x": 1})
    tombstone = put(store, "a", None)
    assert (tombstone.generation, tombstone.order) == (2, None)
    assert put(store, "a", None) == tombstone
    assert cursors(store) == [("a", 2)]
    with store.begin() as tx:
        tx.drop_wish("onprem", "a")
        tx.drop_wish("onprem", "absent")
    assert cursors(store) == []
    with store.read() as tx:
        assert tx.wish("onprem", "a") is None
    again = put(store, "a", {"x": 1})
    assert (again.generation, again.cursor) == (3, 3)
    assert cursors(store) == [("a", 3)]


@pytest.mark.parametrize(
    ("stored", "new", "kept"),
    [
        ((1, 1, 1), (1, 1, 2), True),
        ((1, 1, 2), (1, 1, 2), False),
        ((1, 1, 2), (1, 1, 1), False),
        ((1, 1, 9), (1, 2, 1), True),
        ((1, 2, 1), (1, 1, 9), False),
        ((1, 2, 9), (2, 1, 1), True),
        ((2, 1, 1), (1, 2, 9), False),
    ],
)
def test_only_a_newer_report_is_kept(store, stored, new, kept):
    def report(numbers):
        return a_report(generation=numbers[0], attempt=numbers[1], version=numbers[2])

    with store.begin() as tx:
        assert tx.put_report("onprem", report(stored))
        assert tx.put_report("onprem", report(new)) is kept
        assert tx.report("onprem", "job.vision.fox") == report(new if kept else stored)
        assert tx.report("cloud", "job.vision.fox") is None


def test_reports_wait_until_this_very_one_was_handled(store):
    with store.begin() as tx:
        tx.put_report("onprem", a_report(1))
        tx.put_report("cloud", a_report(1))
        tx.put_report("onprem", a_report(1, uid="job.vision.owl"))
    with store.read() as tx:
        assert len(tx.unhandled_reports()) == 3
        ((site, report),) = tx.unhandled_reports(limit=1)
    with store.begin() as tx:
        tx.put_report(site, report.model_copy(update={"version": 2}))
        tx.handled(site, report)
        assert len(tx.unhandled_reports()) == 3
        tx.handled(site, report.model_copy(update={"version": 2}))
        assert len(tx.unhandled_reports()) == 2
        assert tx.report(site, report.uid).version == 2
        assert not tx.put_report(site, report)
        assert len(tx.unhandled_reports()) == 2
        tx.put_report(site, Report(uid=report.uid, generation=1, version=3, status=GoneStatus(), at=AT))
        assert len(tx.unhandled_reports()) == 3


def test_the_epoch_is_there_from_the_start_and_can_be_changed(store):
    with store.begin() as tx:
        assert len(tx.epoch()) >= 16
        tx.set_epoch("new")
    with store.read() as tx:
        assert tx.epoch() == "new"


def test_journal_acknowledgements_never_go_back(store):
    with store.begin() as tx:
        assert tx.journal_ack("onprem", "job.vision.fox/1") == 0
        tx.set_journal_ack("onprem", "job.vision.fox/1", 7)
        tx.set_journal_ack("onprem", "job.vision.fox/1", 5)
    with store.read() as tx:
        assert tx.journal_ack("onprem", "job.vision.fox/1") == 7
        assert tx.journal_ack("cloud", "job.vision.fox/1") == 0
        assert tx.journal_ack("onprem", "job.vision.fox/2") == 0
