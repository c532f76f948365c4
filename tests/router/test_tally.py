"""Counting: totals for ever, and the recent past by a window."""

from ferryml.domain.predictions import Likeness
from ferryml.router.tally import Tally


def test_totals():
    tally = Tally("boot")
    tally.answered(200, 10, reached=True)
    tally.answered(503, 500, reached=False)
    tally.copied(5, Likeness(True, True, True))
    tally.copied(5, Likeness(False, True, True))
    tally.copied(5, Likeness(False, False, True))
    tally.copied(5, None)
    made = tally.totals()
    assert (made.boot, made.requests, made.errors, made.queued_out) == ("boot", 2, 1, 1)
    assert (made.mirrored, made.mirror_errors) == (4, 1)
    assert (made.inexact, made.mismatches, made.disagreements) == (2, 1, 0)
    assert sum(made.mirror_latency.values()) == 4


def test_recent_forgets_what_is_older_than_the_window():
    tally = Tally("boot")
    for second in range(0, 100, 5):
        tally.look(second, window_s=60)
        tally.answered(200, 10, reached=True)
    assert tally.totals().requests == 20
    assert 11 <= tally.recent().requests <= 14


def test_before_the_first_look_all_is_recent():
    tally = Tally("boot")
    tally.answered(200, 1, reached=True)
    assert tally.recent().requests == 1
