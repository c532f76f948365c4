"""The one wish of an endpoint: made of rows, whole, signed, and withdrawn by a command only where one runs."""

import pytest

from control_play import WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import grants
from ferryml.control.context import changed
from ferryml.control.serving_wishes import command, described, endpoint_order, need_endpoint
from ferryml.domain.errors import Refused


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def test_the_wish_is_what_the_rows_say(site):
    site.serving()
    site.serving("green")
    site.traffic(blue=90, green=10)
    site.update(environment_variables={"A": "1"})
    with site.deps.store.read() as tx:
        order = endpoint_order(tx, need_endpoint(tx, WORKSPACE, NAME))
    assert order == site.order()
    assert set(order.serving) == {"blue", "green"}
    assert len(order.revisions) == 3
    assert order.rollout.deployment == "blue"


def test_the_grant_opens_what_the_revisions_need(site):
    site.serving()
    claims = grants.verified(site.deps, site.wish().grant, "cloud")
    (revision,) = site.order().revisions
    assert claims.reads == (revision.code.digest,)
    assert "logs" in claims.writes


@pytest.mark.parametrize("word", ["pause", "promote", "rollback", "run"])
def test_a_command_reaches_the_site(site, word):
    site.serving()
    site.update(environment_variables={"A": "1"})

    def work(now) -> None:
        command(site.deps, now, need_endpoint(now.tx, WORKSPACE, NAME), word)

    changed(site.deps, work)
    assert site.order().rollout.command == word


def test_without_a_rollout_there_is_nothing_to_command(site):
    def work(now) -> None:
        command(site.deps, now, need_endpoint(now.tx, WORKSPACE, NAME), "promote")

    with pytest.raises(Refused) as caught:
        changed(site.deps, work)
    assert caught.value.code == "NotRunning"


def test_operations_in_words():
    assert described({"kind": "scale", "deployment": "blue"}) == "scale of deployment blue"
    assert described({"kind": "update"}) == "update"
    rollout = {"kind": "rollout", "rollout": "r1", "deployment": "blue"}
    assert described(rollout) == "rollout r1 of deployment blue"
