"""Predictions and labels: joined once, counted for ever, bounded, and never slowing a prediction."""

from datetime import UTC, datetime, timedelta

import pytest

from ferryml.backends.local import serving_captures
from ferryml.backends.local.serving_captures import CaptureFile

UID, A, B = "endpoint.w.e", "a" * 10, "b" * 10


class Clock:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path, clock):
    made = CaptureFile(tmp_path / "captures.db", clock)
    yield made
    made.close()


def request(number: int, revision: str = A) -> str:
    return f"{revision}-{number:016x}"


def predicts(file, count: int, value: str = "1", revision: str = A) -> None:
    for number in range(count):
        file.put(UID, request(number, revision), revision, value)


def test_labels_meet_predictions(file):
    predicts(file, 4, "3")
    assert file.join(UID, [(request(0), "3"), (request(1), '"3"'), (request(2), "[3.0]"), (request(3), "4")]) == (4, 0)
    total, recent = file.accuracy(UID)[A]
    assert (total.labels, total.correct, total.predictions) == (4, 3, 4)
    assert recent == total


def test_unknown_ids_and_other_endpoints_do_not_match(file):
    predicts(file, 1)
    assert file.join(UID, [(request(9), "1"), ("nonsense", "1")]) == (0, 2)
    assert file.join("endpoint.w.other", [(request(0), "1")]) == (0, 1)
    assert file.accuracy("endpoint.w.other") == {}


def test_the_same_label_again_changes_nothing_and_a_new_one_replaces(file):
    predicts(file, 1)
    for _ in range(3):
        file.join(UID, [(request(0), "1")])
    assert file.accuracy(UID)[A][0].labels == 1
    file.join(UID, [(request(0), "2")])
    assert (file.accuracy(UID)[A][0].labels, file.accuracy(UID)[A][0].correct) == (1, 0)


def test_a_label_that_is_no_json_is_text(file):
    predicts(file, 1, '"cat"')
    file.join(UID, [(request(0), "cat")])
    assert file.accuracy(UID)[A][0].correct == 1


def test_recent_is_the_last_thousand(file):
    predicts(file, 1200, "1")
    file.join(UID, [(request(n), "2") for n in range(200)] + [(request(n), "1") for n in range(200, 1200)])
    total, recent = file.accuracy(UID)[A]
    assert (total.labels, total.correct) == (1200, 1000)
    assert (recent.labels, recent.correct) == (1000, 1000)


def test_revisions_are_apart(file):
    predicts(file, 2, "1", A)
    predicts(file, 2, "2", B)
    file.join(UID, [(request(0, A), "1"), (request(0, B), "1")])
    seen = file.accuracy(UID)
    assert (seen[A][0].correct, seen[B][0].correct) == (1, 0)


def test_it_outlives_a_restart(tmp_path, clock):
    first = CaptureFile(tmp_path / "c.db", clock)
    predicts(first, 2)
    first.close()
    second = CaptureFile(tmp_path / "c.db", clock)
    assert second.join(UID, [(request(0), "1")]) == (1, 0)
    second.close()


def test_forget(file):
    predicts(file, 2)
    file.join(UID, [(request(0), "1")])
    file.forget(UID)
    assert file.accuracy(UID) == {}
    assert file.join(UID, [(request(1), "1")]) == (0, 1)


def test_old_and_too_many_predictions_go_while_totals_stay(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(serving_captures, "MAX_PREDICTIONS", 10)
    monkeypatch.setattr(serving_captures, "_TRIM_EVERY", 1)
    monkeypatch.setattr(serving_captures, "MAX_LABELS", 5)
    file = CaptureFile(tmp_path / "c.db", clock)
    for number in range(30):
        clock.now += timedelta(seconds=1)
        file.put(UID, request(number), A, "1")
    file.join(UID, [(request(n), "1") for n in range(20, 30)])
    assert file.join(UID, [(request(5), "1")]) == (0, 1)
    clock.now += timedelta(days=31)
    file.put(UID, request(99), A, "1")
    assert file.join(UID, [(request(28), "2"), (request(99), "1")]) == (1, 1)
    total, recent = file.accuracy(UID)[A]
    assert (total.predictions, total.labels) == (31, 11)
    assert recent.labels <= 7
    file.close()


def test_what_waits_is_bounded(file, monkeypatch):
    monkeypatch.setattr(file, "_flush", lambda: None)
    predicts(file, serving_captures._WAITING + 5)
    assert len(file._waiting) <= serving_captures._WAITING
    monkeypatch.undo()


def test_nobody_else_may_read_it(tmp_path, file):
    assert (tmp_path / "captures.db").stat().st_mode & 0o077 == 0
