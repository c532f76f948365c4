"""Every mutation leaves a trace, and who follows is told."""

import threading

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import assets, history, sites
from ferryml.domain.access import Caller
from ferryml.domain.errors import Forbidden

CODE = {"name": "e", "image": "python:3.11"}


def test_each_mutation_is_audited_with_its_author(play):
    sites.create(play.deps, OWNER, "edge")
    dan = Caller("dan", "data-scientist", WORKSPACE)
    assets.create(play.deps, dan, WORKSPACE, "environment", CODE)
    trail = history.audit(play.deps, OWNER, WORKSPACE, (0, 99))["items"]
    assert (trail[-1]["actor"], trail[-1]["verb"], trail[-1]["subject"]) == (
        "dan", "environment.create", "environment:e:1",
    )  # fmt: skip
    assert [entry["verb"] for entry in history.audit(play.deps, OWNER, "", (0, 99))["items"]] == ["site.create"]


def test_only_some_may_read_the_trail(play):
    for caller in (Caller("d", "data-scientist", WORKSPACE), Caller("r", "reader", "*")):
        with pytest.raises(Forbidden):
            history.audit(play.deps, caller, WORKSPACE, (0, 9))


def test_events_page_and_wait(play):
    found = history.events(play.deps, OWNER, WORKSPACE, (0, 99), None, 0)
    late = []
    follow = threading.Thread(
        target=lambda: late.append(history.events(play.deps, OWNER, WORKSPACE, (found["next"], 9), None, 20))
    )
    follow.start()
    assets.create(play.deps, OWNER, WORKSPACE, "environment", CODE)
    follow.join(10)
    assert [entry["verb"] for entry in late[0]["items"]] == ["environment.create"]
    nothing = history.events(play.deps, OWNER, WORKSPACE, (late[0]["next"], 9), "job:x", 0)
    assert nothing == {"items": [], "next": late[0]["next"]}
