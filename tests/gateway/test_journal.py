"""The journal: what is taken is kept in order, of the newest attempt only, and over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused
from ferryml.domain.link import LogChunk, OutputRecord
from ferryml.domain.orders import TreeRef
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller, Journal, check_offset

JOB = Caller("job.w.j", 1, "w", "grant")
TREE = TreeRef(digest="sha256:" + "a" * 64)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(Database(tmp_path / "g.db"), max_log_bytes=100)
    made.admit(JOB, "hash1")
    return made


def logged(journal: Journal, attempt: int = 1) -> list[tuple[int, str, int]]:
    found = []
    for pending in journal.pending(JOB.uid, attempt, 100):
        assert isinstance(pending.entry.item, LogChunk)
        found.append((pending.entry.seq, pending.entry.item.path, pending.entry.item.offset))
    return found


def test_logs_grow_and_replays_change_nothing(journal: Journal) -> None:
    assert journal.append_log(JOB, "a.txt", 0, b"12345") == 5
    assert journal.append_log(JOB, "a.txt", 0, b"12345") == 5
    assert journal.append_log(JOB, "a.txt", 3, b"45678") == 8
    assert journal.append_log(JOB, "a.txt", None, b"9") == 9
    assert logged(journal) == [(1, "a.txt", 0), (2, "a.txt", 5), (3, "a.txt", 8)]


def test_a_gap_says_where_to_go_on(journal: Journal) -> None:
    journal.append_log(JOB, "a.txt", 0, b"123")
    with pytest.raises(Conflict) as caught:
        journal.append_log(JOB, "a.txt", 7, b"8")
    assert caught.value.details == {"size": 3}


def test_a_log_has_a_largest_size(journal: Journal) -> None:
    assert journal.append_log(JOB, "a.txt", 0, b"x" * 150) == 100
    assert journal.append_log(JOB, "a.txt", None, b"y") == 100


@pytest.mark.parametrize("path", ["", "../x", "/etc/passwd", "a/../../b", "a\\b", "a\nb"])
def test_log_names_stay_below_their_folder(journal: Journal, path: str) -> None:
    with pytest.raises(Refused) as caught:
        journal.append_log(JOB, path, 0, b"x")
    assert caught.value.code == "PathEscapes"


@pytest.mark.parametrize("text", ["-1", "x", "", "1.5", "9" * 20, "٣"])
def test_offsets_are_numbers(text: str) -> None:
    with pytest.raises(Refused):
        check_offset(text)


def test_a_newer_attempt_shuts_out_the_older(journal: Journal) -> None:
    later = Caller(JOB.uid, 2, "w", "grant")
    journal.admit(later, "hash2")
    assert journal.who("hash1") is None
    assert journal.who("hash2") == later
    with pytest.raises(Forbidden) as caught:
        journal.admit(JOB, "hash3")
    assert caught.value.code == "StaleAttempt"


def test_two_tokens_of_one_attempt_both_open(journal: Journal) -> None:
    journal.admit(JOB, "hash1b")
    assert journal.who("hash1") == journal.who("hash1b") == JOB


def test_the_older_attempt_is_told_first(journal: Journal) -> None:
    later = Caller(JOB.uid, 2, "w", "grant")
    journal.append_log(JOB, "a.txt", 0, b"old")
    journal.admit(later, "hash2")
    journal.append_log(later, "retry-001/a.txt", 0, b"new")
    assert journal.streams_waiting() == [(JOB.uid, 1)]
    journal.acknowledge(JOB.uid, 1, 1)
    assert journal.streams_waiting() == [(JOB.uid, 2)]


def test_a_receipt_covers_all_that_came_before_complete(journal: Journal) -> None:
    assert journal.receipt(JOB.uid, 1) is None
    journal.append_log(JOB, "a.txt", 0, b"1")
    journal.add_output(JOB, OutputRecord(name="model", tree=TREE), (TREE.digest,))
    assert journal.complete(JOB, 0) == 2
    journal.append_log(JOB, "late.txt", 0, b"1")
    assert journal.complete(JOB, 7) == 2
    receipt = journal.receipt(JOB.uid, 1)
    assert receipt is not None
    assert (receipt.exit_code, receipt.forwarded, receipt.waiting) == (0, False, 2)
    assert receipt.outputs["model"].tree == TREE
    journal.acknowledge(JOB.uid, 1, 2)
    receipt = journal.receipt(JOB.uid, 1)
    assert receipt is not None
    assert receipt.forwarded


def test_what_is_refused_is_remembered_and_not_asked_again(journal: Journal) -> None:
    journal.append_log(JOB, "a.txt", 0, b"1")
    journal.add_output(JOB, OutputRecord(name="model", tree=TREE), ())
    journal.complete(JOB, 0)
    for pending in journal.pending(JOB.uid, 1, 10):
        journal.refuse(pending.entry, "TooLarge: 9 GB")
    receipt = journal.receipt(JOB.uid, 1)
    assert receipt is not None
    assert receipt.forwarded
    assert receipt.refused == ("TooLarge: 9 GB",)
    assert receipt.lost_outputs == ("output model: TooLarge: 9 GB",)


def test_what_is_held_never_leaves_but_is_in_order(journal: Journal) -> None:
    journal.append_log(JOB, "a.txt", 0, b"secret", held=True)
    journal.complete(JOB, 0)
    assert journal.streams_waiting() == []
    receipt = journal.receipt(JOB.uid, 1)
    assert receipt is not None
    assert receipt.forwarded


def test_bound_outputs_are_pinned(journal: Journal) -> None:
    journal.add_output(JOB, OutputRecord(name="model", tree=TREE, bound=True), (TREE.digest, "sha256:b"))
    assert journal._db.rows("SELECT digest FROM pins ORDER BY digest") == [("sha256:" + "a" * 64,), ("sha256:b",)]


def test_unsent_files_are_known(journal: Journal) -> None:
    journal.add_output(JOB, OutputRecord(name="model", tree=TREE), (TREE.digest,))
    assert journal.unsent_blobs() == {TREE.digest}
    journal.acknowledge(JOB.uid, 1, 1)
    assert journal.unsent_blobs() == set()


def test_a_renewed_grant_is_used_for_what_is_still_to_be_sent(journal: Journal) -> None:
    journal.append_log(JOB, "a.txt", 0, b"1")
    journal.renew(JOB.uid, "w", "newer")
    assert journal.pending(JOB.uid, 1, 10)[0].entry.grant == "newer"
    assert journal.last_seq(JOB.uid, 1) == 1


def test_a_site_may_log_for_work_that_was_never_admitted(journal: Journal) -> None:
    journal.renew("job.w.k", "w", "grant")
    caller = journal.stream("job.w.k", 1)
    journal.append_log(caller, "system_logs/environment.log", None, b"no such package")
    assert journal.last_seq("job.w.k", 1) == 1
    with pytest.raises(NotFound):
        journal.stream("job.w.never", 1)
    with pytest.raises(FerryError):
        journal.append("job.w.never", 1, LogChunk(path="a", offset=0, data=""))


def test_pruning_forgets_only_what_is_over_and_told(journal: Journal) -> None:
    journal.append_log(JOB, "a.txt", 0, b"1")
    assert journal.prune() == 0
    journal.dismiss(JOB.uid)
    assert journal.who("hash1") is None
    assert journal.prune() == 0
    journal.acknowledge(JOB.uid, 1, 1)
    assert journal.prune() == 1
    with pytest.raises(NotFound):
        journal.stream(JOB.uid, 1)


def test_everything_survives_a_kill(tmp_path: Path) -> None:
    first = Journal(Database(tmp_path / "g.db"), 100)
    first.admit(JOB, "hash1")
    first.append_log(JOB, "a.txt", 0, b"123")
    second = Journal(Database(tmp_path / "g.db"), 100)
    assert second.who("hash1") == JOB
    assert second.append_log(JOB, "a.txt", 0, b"12345") == 5
    assert logged(second) == [(1, "a.txt", 0), (2, "a.txt", 3)]


def test_kept_logs_are_bounded_oldest_work_first(journal: Journal) -> None:
    other, third = Caller("job.w.k", 1, "w", "grant"), Caller("job.w.l", 1, "w", "grant")
    journal.append_log(JOB, "a.txt", 0, b"x" * 40, held=True)
    for caller in (other, third):
        journal.admit(caller, "")
        journal.append_log(caller, "a.txt", 0, b"x" * 40, held=True)
    journal.append_log(JOB, "a.txt", 40, b"y" * 10, held=True)
    output = OutputRecord(name="o", tree=TREE)
    journal.append(other.uid, 1, output, held=True)
    assert journal.trim_kept_logs(100) == 40
    assert journal.trim_kept_logs(100) == 0
    rows = journal._db.rows("SELECT DISTINCT uid FROM entries WHERE item LIKE '%\"log\"%'")
    assert rows == [("job.w.j",), ("job.w.l",)], "the one that spoke longest ago is gone"
    assert journal._db.rows("SELECT uid FROM entries WHERE uid = ?", other.uid), "only its logs"


def test_an_attempt_lived_when_it_said_something(journal: Journal) -> None:
    assert (journal.lived(JOB.uid), journal.lived("job.w.k")) == (0, 0)
    journal.append_log(JOB, "a.txt", 0, b"1")
    journal.admit(Caller("job.w.j", 2, "w", "grant"), "hash2")
    assert journal.lived(JOB.uid) == 1
    journal.complete(Caller("job.w.j", 2, "w", "grant"), 0)
    assert journal.lived(JOB.uid) == 2
