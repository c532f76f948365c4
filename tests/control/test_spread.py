"""How an endpoint on several computes is read and shown."""

import pytest

from ferryml.control.spread import free, openapi, reachable
from ferryml.domain.errors import Conflict
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    made = SpreadPlay(play)
    made.serving()
    return made


def test_each_compute_has_its_words(there):
    one = there.at("c1")
    assert (one["site"], one["reachable"], one["waits"], one["code"]) == ("cloud", True, False, "")
    blue = one["deployments"]["blue"]
    assert (blue["ready"], blue["desired"], blue["provisioning_state"]) == (1, 1, "Succeeded")
    assert blue["serving"] == there.sites["c1"].order().serving["blue"]
    there.goes("c1")
    one = there.at("c1")
    assert (one["reachable"], one["provisioning_state"]) == (False, "Succeeded")
    assert one["reason"] == "its site is offline; what it has goes on serving"


def test_who_is_away_is_in_nobodys_way(there):
    free(there.looked())
    there.renew(environment_variables={"A": "1"})
    with pytest.raises(Conflict) as caught:
        free(there.looked())
    assert "on compute c1" in caught.value.message
    there.goes("c1")
    there.calm()
    free(there.looked())


def test_a_look_has_all_of_it(there):
    seen = there.looked()
    assert (list(seen.members), list(seen.deployments), seen.rollout, seen.leaving) == (
        ["c1", "c2"],
        ["blue"],
        "",
        False,
    )
    assert {compute: one.state for compute, one in seen.told.items()} == {"c1": "Succeeded", "c2": "Succeeded"}


def test_the_first_that_can_be_reached():
    def site(uri, reachable):
        return {"scoring_uri": uri, "reachable": reachable}

    assert reachable({"a": site(None, True), "b": site("http://b", False), "c": site("http://c", True)}) == "c"
    assert reachable({"a": site(None, True), "b": site("http://b", False)}) == "b"
    assert reachable({"a": site(None, True)}) == ""
    assert openapi("http://x/api/v1/endpoint/a/score") == "http://x/api/v1/endpoint/a/swagger.json"
    assert openapi(None) is None
