"""Predictions in a file: bounded, private, and there after a restart; tests/contract/test_captures.py has the rest."""

from datetime import UTC, datetime, timedelta

import pytest

from ferryml.backends.local import serving_captures
from ferryml.backends.local.serving_captures import CaptureFile

UID, A = "endpoint.w.e", "a" * 10


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


def test_it_outlives_a_restart(tmp_path, clock):
    first = CaptureFile(tmp_path / "c.db", clock)
    predicts(first, 2)
    first.close()
    second = CaptureFile(tmp_path / "c.db", clock)
    assert second.join(UID, [(request(0), "1")]) == (1, 0)
    second.close()


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


def test_what_was_taken_is_written_at_once(tmp_path, clock, file):
    given = [(UID, request(n), A, "1") for n in range(3)]
    file.take(given)
    file.take(given)
    second = CaptureFile(tmp_path / "captures.db", clock)
    assert second.accuracy(UID)[A][0].predictions == 3
    assert second.everything() == {UID: second.accuracy(UID)}
    second.close()


def test_what_waits_is_bounded(file, monkeypatch):
    monkeypatch.setattr(file, "_flush", lambda: None)
    predicts(file, serving_captures._WAITING + 5)
    assert len(file._waiting) <= serving_captures._WAITING
    monkeypatch.undo()


def test_nobody_else_may_read_it(tmp_path, file):
    assert (tmp_path / "captures.db").stat().st_mode & 0o077 == 0
