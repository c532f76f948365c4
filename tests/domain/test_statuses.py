"""Findings know whether they quote what a program printed."""

from ferryml.domain.statuses import LOG, Finding


def test_lines_of_a_log_are_known_as_such() -> None:
    assert Finding(code="UserCodeFailed", cause="it failed", evidence=f"{LOG}: boom").quotes_log
    assert Finding(code="UserCodeFailed", cause="it failed", check="program.failed").quotes_log
    assert not Finding(code="NoCapacity", cause="no room", evidence="0/2 nodes").quotes_log
