"""Detaching: refused, kept or cancelled, and adopted again."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import computes, detaching
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound
from site_answers import a_cluster, attach
from spread_play import SpreadPlay

READER = Caller("r", "reader", WORKSPACE)


def detach(play, running="refuse", name="c1"):
    detaching.detach(play.deps, OWNER, WORKSPACE, name, running)


def test_work_is_in_the_way_unless_something_is_said(play):
    play.site()
    play.running()
    with pytest.raises(Conflict) as caught:
        detach(play)
    assert "--running keep|cancel" in caught.value.hint


def test_kept_work_goes_on_and_is_adopted(play):
    play.site()
    name = play.running()
    detach(play, "keep")
    assert play.shown(name)["status"] == "Running"
    computes.attach(play.deps, OWNER, WORKSPACE, {"type": "local", "name": "c1", "site": "cloud"})
    play.reports("cloud", name, "Completed", 5)
    play.turns()
    assert play.shown(name)["status"] == "Completed"


def test_cancelled_work_is_asked_to_end(play):
    play.site()
    name = play.running()
    detach(play, "cancel")
    assert play.shown(name)["status"] == "CancelRequested"
    with pytest.raises(NotFound):
        computes.show(play.deps, OWNER, WORKSPACE, "c1")


def test_work_is_adopted_only_where_it_is(play):
    a_cluster(play)
    attach(play)
    play.job(compute="kc")
    detach(play, "keep", "kc")
    with pytest.raises(Conflict) as caught:
        attach(play, namespace="default")
    assert "namespace ml" in caught.value.message
    attach(play)


def test_readers_do_not_detach(play):
    play.site()
    with pytest.raises(Forbidden):
        detaching.detach(play.deps, READER, WORKSPACE, "c1")


def test_what_an_endpoint_has_here_beside_other_computes_is_in_the_way(play):
    SpreadPlay(play).serving()
    with pytest.raises(Conflict) as caught:
        detaching.detach(play.deps, OWNER, WORKSPACE, "c2")
    assert caught.value.message == "endpoint digits is still on compute c2"
    assert "ferry online-endpoint update -n digits --compute" in caught.value.hint
