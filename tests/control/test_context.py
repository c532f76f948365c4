"""Transactions that wake whoever waits, but only when they landed."""

import pytest

from ferryml.control.context import SYSTEM, TRIES, allow, changed, turn
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, Refused


def test_nobody_is_woken_by_what_did_not_land(play, monkeypatch):
    woken = []
    monkeypatch.setattr(play.store, "wake", woken.append)

    def fails():
        with turn(play.deps) as now:
            now.wake("loops")
            raise Refused("BadValue", "no")

    with pytest.raises(Refused):
        fails()
    assert woken == []
    with turn(play.deps) as now:
        now.record(SYSTEM, "team", "x.y", "x:1")
        now.wake("loops")
    assert woken == ["events:team", "loops"]


def test_who_comes_second_tries_again(play):
    tried = []

    def work(now):
        tried.append(1)
        if len(tried) < 3:
            raise Conflict("VersionConflict", "somebody was faster")
        return "done"

    assert changed(play.deps, work) == "done"


def test_trying_ends(play):
    tried = []

    def work(now):
        tried.append(1)
        raise Conflict("VersionConflict", "always")

    with pytest.raises(Conflict):
        changed(play.deps, work)
    assert len(tried) == TRIES


def test_other_conflicts_are_not_tried_again(play):
    tried = []

    def work(now):
        tried.append(1)
        raise Conflict("AlreadyExists", "there")

    with pytest.raises(Conflict):
        changed(play.deps, work)
    assert tried == [1]


def test_rights_are_asked(play):
    with pytest.raises(Forbidden):
        allow(Caller("r", "reader", "team"), "job.write", "team")
