"""Reports of endpoints: old ones end nothing, repeated ones change nothing, late ones find a deleted endpoint gone."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import endpoints
from ferryml.control.loops.endpoints import tick
from ferryml.control.serving_wishes import BUDGET_S
from ferryml.domain.statuses import EndpointStatus, RolloutStatus


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def test_the_word_on_another_rollout_ends_nothing(site):
    site.deploy()
    stale = RolloutStatus(rollout="deploy-older", state="promoted", since=site.play.dice.now())
    site.says(**{"state": "Succeeded"})
    site.report(EndpointStatus(state="Succeeded", rollout=stale), site.wish().generation)
    assert site.shown()["provisioning_state"] == "Creating"
    assert site.order().rollout is not None


def test_the_same_end_told_again_changes_nothing(site):
    site.deploy()
    wish = site.wish()
    ended = RolloutStatus(rollout=site.order().rollout.rollout, state="promoted", since=site.play.dice.now())
    for _ in range(3):
        site.report(EndpointStatus(state="Succeeded", rollout=ended), wish.generation)
    generation = site.wish().generation
    assert generation == wish.generation + 1
    site.report(EndpointStatus(state="Succeeded", rollout=ended), wish.generation)
    assert site.wish().generation == generation


def test_progress_is_shown_while_it_runs(site):
    site.serving()
    site.update(environment_variables={"A": "1"})
    site.says("stepping", ready=True)
    assert site.seen()["ferry"]["rollout"]["state"] == "stepping"
    assert site.shown()["provisioning_state"] == "Updating"


def test_a_rolled_back_update_has_its_code(site):
    site.serving()
    site.update(environment_variables={"A": "1"})
    site.says("rolled_back")
    made = site.shown()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Failed", "RolledBack")
    assert made["ferry"]["reason"] == "it rolled_back"


def test_why_it_is_not_ready_yet_is_shown(site):
    from ferryml.domain.statuses import RevisionStatus

    site.deploy()
    candidate = site.order().rollout.candidate
    told = RevisionStatus(revision=candidate, deployment="blue", state="Creating", reason="making the environment")
    site.says("preparing", revisions=(told,))
    assert site.shown()["ferry"]["reason"] == "making the environment"


def test_reports_of_a_dying_endpoint_do_not_revive_it(site):
    site.serving()
    endpoints.delete(site.deps, OWNER, WORKSPACE, NAME)
    generation = site.wish().generation
    site.report(EndpointStatus(state="Deleting"), generation)
    site.report(EndpointStatus(state="Succeeded"), generation - 1)
    assert site.seen()["provisioning_state"] == "Deleting"
    site.says()
    site.play.turns()
    assert endpoints.list_endpoints(site.deps, OWNER, WORKSPACE) == []


def too_old(**changes):
    return EndpointStatus(state="Succeeded", **{"code": "AgentTooOld", "reason": "too old: order.x", **changes})


def test_an_agent_that_is_too_old_is_shown_as_long_as_something_waits_for_it(site):
    serving = site.serving()
    generation = site.wish().generation
    site.report(too_old(), generation)
    assert site.seen()["ferry"]["code"] == ""
    site.update(environment_variables={"A": "1"})
    site.report(too_old(), generation)
    for made in (site.seen(), site.shown()):
        assert (made["ferry"]["code"], made["ferry"]["reason"]) == ("AgentTooOld", "too old: order.x")
    site.report(EndpointStatus(state="Updating"), generation)
    for made in (site.seen(), site.shown()):
        assert (made["ferry"]["code"], made["ferry"]["reason"]) == ("", "")
    assert site.shown()["ferry"]["serving"] == serving


def test_what_ran_out_of_time_waiting_for_an_upgrade_says_so(site):
    site.deploy()
    site.report(too_old(), site.wish().generation - 1)
    site.play.dice.passes(BUDGET_S + 1)
    assert tick(site.deps) == 1
    made = site.shown()
    assert (made["provisioning_state"], "20 minutes" in made["ferry"]["reason"]) == ("Failed", True)
    assert "too old: order.x" in made["ferry"]["reason"]
    site.says()
    assert site.seen()["ferry"]["code"] == ""
