"""What fires an automation: the clock, versions, live metrics; once each, and nothing twice."""

import pytest

from control_play import WORKSPACE
from ferryml.control import triggers
from loop_play import LoopPlay, Point
from spread_play import SpreadPlay

ALONE = {"rollout": None, "evaluate": None, "gate": None}


def look(play):
    with play.store.read() as tx:
        return triggers.look(play.deps, tx.get("automation", WORKSPACE, "loop"))


def pending(play):
    with play.store.read() as tx:
        return tx.get("automation", WORKSPACE, "loop").status.get("pending") or []


@pytest.fixture
def site(play):
    play.site()
    return play


def test_a_new_version_fires_once(site):
    loop = LoopPlay(site, **ALONE)
    assert look(site) == 0
    loop.data(b"2")
    assert (look(site), look(site)) == (1, 0)
    assert pending(site)[0]["data"] == "azureml:digits:2"


def test_another_asset_does_not_fire(site):
    loop = LoopPlay(site, **ALONE)
    loop.data(b"2", name="cats")
    assert look(site) == 0


def test_versions_settle_before_they_fire(site):
    loop = LoopPlay(site, triggers=[{"type": "data", "asset": "azureml:digits", "debounce": "15m"}], **ALONE)
    loop.data(b"2")
    site.dice.passes(800)
    loop.data(b"3")
    site.dice.passes(800)
    assert look(site) == 0
    site.dice.passes(101)
    assert look(site) == 1
    assert pending(site)[0]["data"] == "azureml:digits:3"


def test_the_clock_fires_at_its_hour_and_fills_nothing_back(site):
    LoopPlay(site, triggers=[{"type": "cron", "expression": "0 3 * * *"}], **ALONE)
    assert look(site) == 0
    site.dice.passes(3 * 3600 - 1)
    assert look(site) == 0
    site.dice.passes(1)
    assert (look(site), look(site)) == (1, 0)
    site.dice.passes(5 * 86400)
    assert (look(site), look(site)) == (1, 0)
    assert pending(site)[0]["kind"] == "cron"


def test_the_clock_goes_by_its_zone(site):
    zoned = {"type": "cron", "expression": "0 3 * * *", "time_zone": "Europe/Berlin"}
    LoopPlay(site, triggers=[zoned], **ALONE)
    look(site)
    site.dice.passes(3600 - 1)
    assert look(site) == 0
    site.dice.passes(1)
    assert look(site) == 1


def test_a_model_from_elsewhere_fires_and_ones_own_does_not(site):
    loop = LoopPlay(site, triggers=[{"type": "model", "asset": "azureml:m"}, {"type": "manual"}], **ALONE)
    loop.model("m")
    assert look(site) == 1
    assert pending(site)[0]["model"] == "m:1"
    with site.store.begin() as tx:
        tx.insert(
            tx.get("model", WORKSPACE, "m", "1").model_copy(update={"version": "2", "labels": {"automation": "x"}})
        )
    assert look(site) == 0


BELOW = {"type": "metric", "endpoint": "digits", "metric": "accuracy", "below": 0.9, "min_labels": 10}


@pytest.fixture
def point(site):
    LoopPlay(site, triggers=[BELOW], **ALONE)
    return Point(site).serves()


@pytest.mark.parametrize(("right", "labels", "fires"), [(5, 9, 0), (9, 10, 0), (8, 10, 1), (0, 0, 0)])
def test_a_metric_fires_below_its_line_with_enough_labels(site, point, right, labels, fires):
    point.says(right=right, labels=labels)
    assert look(site) == fires


def test_the_same_labels_do_not_fire_twice(site, point):
    point.says(right=5, labels=10)
    assert look(site) == 1
    point.says(right=5, labels=19)
    assert look(site) == 0
    point.says(right=5, labels=20)
    assert look(site) == 1
    assert pending(site)[0]["value"] == 0.25


def test_a_paused_automation_is_not_looked_at_again(site):
    loop = LoopPlay(site, **ALONE)
    loop.data(b"2")
    with site.store.begin() as tx:
        stale = tx.get("automation", WORKSPACE, "loop")
        tx.update(stale.model_copy(update={"phase": "Paused"}))
    assert triggers.look(site.deps, stale) == 0
    assert pending(site) == []


def test_a_metric_is_over_all_computes(play):
    there = SpreadPlay(play)
    there.serving()
    LoopPlay(play, triggers=[BELOW], **ALONE)
    for compute, right in (("c1", 8), ("c2", 2)):
        revision = there.sites[compute].order().serving["blue"]
        told = {revision: {"labels": 8, "correct": right, "predictions": 8}}
        there.says(compute, weights={revision: 100}, accuracy=told, recent_accuracy=told)
        assert look(play) == (compute == "c2"), "eight labels of one are not the ten of both"
    assert pending(play)[0]["value"] == 0.625
    assert pending(play)[0]["labels"] == 16
