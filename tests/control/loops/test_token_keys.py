"""A key of age is replaced without a token refused, and goes when nothing that it signed can be valid any more."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import EndpointPlay
from ferryml.control import credentials, endpoints, token_keys
from ferryml.control.context import changed
from ferryml.control.loops.token_keys import DAY, SLACK_S, tick


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint(auth_mode="aml_token")
    made.accepts()
    return made


def ring(site):
    with site.deps.store.read() as tx:
        return token_keys.ring(tx, WORKSPACE)


def pems(site):
    return site.order().token_public_key.count("BEGIN PUBLIC KEY")


def test_nothing_to_do(site, play):
    assert tick(site.deps) == 0
    play.dice.passes(89 * DAY)
    assert tick(site.deps) == 0
    assert len(ring(site)) == 1


def test_the_whole_turn(site, play):
    (old,) = ring(site)
    play.dice.passes(90 * DAY + 1)
    assert tick(site.deps) == 1
    assert (len(ring(site)), pems(site)) == (2, 2)
    play.dice.passes(30 * DAY)
    assert tick(site.deps) == 0
    assert old in ring(site)
    site.accepts()
    assert tick(site.deps) == 1
    play.dice.passes(3600 + SLACK_S - 1)
    assert tick(site.deps) == 0
    play.dice.passes(2)
    assert tick(site.deps) == 1
    assert (len(ring(site)), pems(site)) == (1, 1)
    assert old not in ring(site)
    assert tick(site.deps) == 0


def test_an_endpoint_that_comes_meanwhile_is_waited_for(site, play):
    credentials.rotate(site.deps, OWNER, WORKSPACE)
    site.accepts()
    assert tick(site.deps) == 1
    endpoints.create(site.deps, OWNER, WORKSPACE, {"name": "late", "compute": "c1", "auth_mode": "aml_token"})
    play.dice.passes(DAY)
    assert tick(site.deps) == 0
    assert len(ring(site)) == 2
    endpoints.delete(site.deps, OWNER, WORKSPACE, "late")
    assert tick(site.deps) == 1
    assert len(ring(site)) == 2


def test_a_site_that_was_told_an_older_ring_is_told_again(site):
    credentials.rotate(site.deps, OWNER, WORKSPACE)
    whole = site.order()
    stale = whole.model_copy(update={"token_public_key": ""}).model_dump(mode="json")
    changed(site.deps, lambda now: now.tx.put_wish("cloud", site.wish().uid, stale))
    assert pems(site) == 0
    assert tick(site.deps) == 0
    assert site.order() == whole


def test_age_may_be_no_reason(site, play):
    play.deps.settings.__dict__["endpoint_token_key_days"] = 0
    play.dice.passes(1000 * DAY)
    assert tick(site.deps) == 0
