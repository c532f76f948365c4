"""From one compute to several: rows are renamed, the site goes on with what it has, history stays."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME
from ferryml.control import endpoints as one_endpoint
from ferryml.control import lineage, rollouts
from ferryml.control import spread_endpoints as endpoints
from ferryml.domain.errors import Conflict, FerryError
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    """On c1 alone, with a deployment that has all traffic."""
    made = SpreadPlay(play)
    endpoints.create(made.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    made.says("c1")
    made.deploy(all_traffic=True)
    for _ in range(3):
        made.says("c1")
    assert made.seen()["traffic"] == {"blue": 100}
    return made


def by_update(there, compute):
    return there.update(compute=compute)


def by_put(there, compute):
    """As `ferry apply` does: the whole document."""
    document = {"name": NAME, "compute": compute, "auth_mode": "key"}
    return endpoints.put(there.deps, OWNER, WORKSPACE, NAME, document)


ways = pytest.mark.parametrize("way", [by_update, by_put])


@ways
def test_its_site_notices_nothing_and_the_other_gets_everything(there, way):
    before, keys = there.sites["c1"].wish(), one_endpoint.keys(there.deps, OWNER, WORKSPACE, NAME)
    assert way(there, ["c1", "azureml:c2"])["compute"] == ["c1", "c2"]
    there.calm()
    assert there.sites["c1"].wish() == before
    seen = there.seen()
    assert (seen["provisioning_state"], seen["traffic"]) == ("Succeeded", {"blue": 100})
    assert there.sites["c2"].order().traffic == {"blue": 100}
    assert endpoints.get_credentials(there.deps, OWNER, WORKSPACE, NAME, "c2") == keys
    there.renew(environment_variables={"A": "1"})
    there.calm()
    for compute in ("c1", "c2"):
        assert [one.environment_variables for one in there.sites[compute].order().revisions] == [{"A": "1"}]


def test_what_was_predicted_before_can_still_be_traced(there):
    old = there.sites["c1"].order().serving["blue"]
    there.update(compute=["c1", "c2"])
    found = lineage.trace(there.deps, OWNER, WORKSPACE, f"{old}-{'0' * 16}")
    assert (found["endpoint"], found["compute"], found["deployment"]) == (NAME, "c1", "blue")
    assert found["code"]
    assert old in there.shown()["ferry"]["sites"]["c1"]["revisions"]


@ways
def test_what_the_other_compute_cannot_have_leaves_it_as_it_is(there, way):
    with pytest.raises(FerryError):
        way(there, ["c1", "nowhere"])
    assert there.seen()["compute"] == "c1"


@ways
def test_not_while_something_is_under_way(there, way):
    document = there.sites["c1"].document(environment_variables={"A": "1"})
    there.renew(environment_variables={"A": "1"})
    with pytest.raises(Conflict):
        way(there, ["c1", "c2"])
    there.says("c1")
    rollouts.create(there.deps, OWNER, WORKSPACE, {"name": "r", "deployment": document, "endpoints": [NAME]})
    with pytest.raises(Conflict) as caught:
        way(there, ["c1", "c2"])
    assert "rollout r" in caught.value.message


def test_separate_keys_stay_with_their_compute(play):
    there = SpreadPlay(play)
    endpoints.create(there.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1", "keys": "separate"})
    there.says("c1")
    keys = one_endpoint.keys(there.deps, OWNER, WORKSPACE, NAME)
    there.update(compute=["c1", "c2"])
    there.calm()
    found = endpoints.get_credentials(there.deps, OWNER, WORKSPACE, NAME)["computes"]
    assert found["c1"] == keys
    assert found["c2"] != keys


@ways
def test_a_list_of_one_is_a_list(there, way):
    way(there, ["c1"])
    assert there.seen()["compute"] == ["c1"]
    there.update(compute="azureml:c1", traffic={"blue": 0})
    there.calm()
    assert (there.seen()["compute"], there.sites["c1"].order().traffic) == (["c1"], {})
