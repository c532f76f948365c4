"""Endpoints on several computes over time: eligible, happy, stale, contended."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME
from ferryml.control import endpoints as one_endpoint
from ferryml.control import spread_endpoints as endpoints
from ferryml.control.loops import endpoints as time
from ferryml.control.loops.spread import tick
from ferryml.control.serving_wishes import BUDGET_S
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    made = SpreadPlay(play)
    made.endpoint()
    return made


def test_endpoints_on_one_compute_are_not_its_business(play):
    play.site()
    one_endpoint.create(play.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    assert tick(play.deps) == 0


def test_nothing_is_done_while_sites_are_at_work(there):
    assert tick(there.deps) == 0
    there.calm()
    there.deploy()
    assert tick(there.deps) == 2
    assert tick(there.deps) == 0


def test_a_compute_that_has_ended_goes_on_alone(there):
    there.calm()
    there.deploy(all_traffic=True)
    tick(there.deps)
    there.says("c1")
    assert tick(there.deps) == 1, "it is asked for now"
    assert tick(there.deps) == 1, "its traffic"
    assert there.sites["c1"].order().traffic == {"blue": 100}
    assert there.sites["c2"].order().traffic == {}


def test_what_was_superseded_is_not_begun(there):
    there.calm()
    there.goes("c2")
    there.deploy()
    there.calm()
    for number in "12":
        there.renew(environment_variables={"N": number})
        there.calm()
    there.returns("c2")
    assert tick(there.deps) == 1
    assert [one.environment_variables for one in there.sites["c2"].order().revisions] == [{"N": "2"}]


def test_time_passes_for_an_operation_only_while_its_site_is_there(there):
    there.says("c1")
    there.goes("c2")
    for _ in range(3):
        there.play.dice.passes(BUDGET_S)
        there.play.beat("cloud")
        assert time.tick(there.deps) == 1
    assert there.at("c2")["provisioning_state"] == "Creating"
    assert there.seen()["ferry"]["waiting_for"] == ["c2"]
    there.returns("c2")
    there.play.dice.passes(BUDGET_S + 1)
    there.play.beat("cloud")
    there.play.beat("edge")
    time.tick(there.deps)
    assert there.at("c2")["provisioning_state"] == "Failed"
    assert "20 minutes" in there.seen()["ferry"]["reason"]
    endpoints.delete(there.deps, OWNER, WORKSPACE, NAME)
    there.calm()
    assert endpoints.list_endpoints(there.deps, OWNER, WORKSPACE) == []
