"""Time over endpoints: eligible, happy, stale, contended."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import endpoints
from ferryml.control.deployments import roll, straight
from ferryml.control.loops.endpoints import tick
from ferryml.control.serving_wishes import BUDGET_S
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.statuses import EndpointStatus


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def test_within_its_time_nothing_happens(site):
    site.deploy()
    site.play.dice.passes(BUDGET_S - 1)
    assert tick(site.deps) == 0


def test_a_deployment_that_hears_nothing_fails_with_a_reason(site):
    site.deploy()
    site.play.dice.passes(BUDGET_S + 1)
    assert tick(site.deps) == 1
    made = site.shown()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Failed", "ResourceNotReady")
    assert "20 minutes" in made["ferry"]["reason"]
    assert site.order().revisions == ()
    assert tick(site.deps) == 0
    site.serving("green")


def test_a_rollout_that_moves_is_left_alone(site):
    site.serving()
    site.update(environment_variables={"A": "1"})
    site.says("stepping")
    site.play.dice.passes(10 * BUDGET_S)
    assert tick(site.deps) == 0


def test_an_endpoint_whose_site_is_silent_fails_and_can_be_deleted(play):
    play.site()
    site = EndpointPlay(play)
    endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    play.dice.passes(BUDGET_S + 1)
    assert tick(site.deps) == 1
    assert site.seen()["provisioning_state"] == "Failed"
    site.says()
    endpoints.delete(site.deps, OWNER, WORKSPACE, NAME)
    site.says()
    assert endpoints.list_endpoints(site.deps, OWNER, WORKSPACE) == []


def test_an_old_revision_is_kept_for_its_time(site):
    old = site.serving()

    def keeping(champion, candidate):
        return straight(champion, candidate).model_copy(update={"keep_previous_s": 100})

    roll(site.deps, OWNER, WORKSPACE, NAME, OnlineDeployment.model_validate(site.document(tags={"a": "1"})), keeping)
    site.says("promoted")
    assert old in {one.revision for one in site.order().revisions}
    site.play.dice.passes(99)
    assert tick(site.deps) == 0
    site.play.dice.passes(2)
    assert tick(site.deps) == 1
    assert old not in {one.revision for one in site.order().revisions}
    assert tick(site.deps) == 0


def test_an_endpoint_that_waited_for_an_upgrade_fails_with_that_reason(play):
    play.site()
    site = EndpointPlay(play)
    endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    site.report(EndpointStatus(state="Creating", code="AgentTooOld", reason="too old: order.x"), 0)
    play.dice.passes(BUDGET_S + 1)
    assert tick(site.deps) == 1
    made = site.seen()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Failed", "AgentTooOld")
    assert made["ferry"]["reason"].endswith("20 minutes: too old: order.x")
