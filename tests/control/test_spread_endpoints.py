"""Endpoints on several computes: one spec, a status for each, and one word for all."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME
from ferryml.control import endpoints as one_endpoint
from ferryml.control import spread_endpoints as endpoints
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    return SpreadPlay(play)


def ask(function, there, *args, **named):
    return function(there.deps, OWNER, WORKSPACE, NAME, *args, **named)


def test_it_succeeds_once_each_site_has(there):
    made = there.endpoint()
    assert (made["provisioning_state"], made["compute"], made["scoring_uri"]) == ("Creating", ["c1", "c2"], None)
    there.says("c1")
    seen = there.seen()
    assert (seen["provisioning_state"], seen["ferry"]["reason"]) == ("Creating", "c2: Creating")
    assert there.at("c1")["provisioning_state"] == "Succeeded"
    there.says("c2")
    assert there.seen()["provisioning_state"] == "Succeeded"
    assert [one["name"] for one in endpoints.list_endpoints(there.deps, OWNER, WORKSPACE)] == [NAME]
    for compute, site in (("c1", "cloud"), ("c2", "edge")):
        assert there.at(compute)["site"] == site
        assert there.at(compute)["scoring_uri"].endswith(f"/endpoint/{NAME}/score")


def test_sites_see_an_endpoint_as_ever(there):
    there.serving()
    orders = [there.sites[compute].order() for compute in ("c1", "c2")]
    assert [(one.name, one.compute, one.traffic) for one in orders] == [
        (NAME, "c1", {"blue": 100}), (NAME, "c2", {"blue": 100}),
    ]  # fmt: skip
    mine, theirs = (one.revisions[0].revision for one in orders)
    assert mine != theirs, "each site has revisions of its own"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"compute": []}, "BadValue"), ({"compute": ["c1", "azureml:c1"]}, "BadValue"),
        ({"compute": ["c1", "nowhere"]}, "ComputeNotFound"), ({"compute": ["c1", 7]}, "BadValue"),
        ({"keys": "none"}, "BadValue"), ({"keys": "separate", "auth_mode": "aml_token"}, "BadValue"),
        ({"traffic": {"blue": 100}}, "TrafficInvalid"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_whole(there, fields, code):
    with pytest.raises(FerryError) as caught:
        there.endpoint(**fields)
    assert caught.value.code == code
    assert endpoints.list_endpoints(there.deps, OWNER, WORKSPACE) == []
    assert not there.has("c1")


def test_two_computes_of_one_site_are_one_too_many(there, play):
    from ferryml.control import computes

    computes.attach(there.deps, OWNER, WORKSPACE, {"type": "local", "name": "c3", "site": "edge"})
    with pytest.raises(Refused) as caught:
        there.endpoint(compute=["c1", "c2", "c3"])
    assert "c2 and c3 are both on site edge" in caught.value.message


def test_shared_keys_open_every_site(there):
    there.endpoint()
    there.calm()
    keys = ask(endpoints.get_credentials, there)
    assert ask(endpoints.get_keys, there, compute="c2") == keys
    hashes = {there.deps.keys.hash_token(key) for key in keys.values()}
    assert [set(there.sites[compute].order().key_hashes) for compute in ("c1", "c2")] == [hashes, hashes]
    after = ask(endpoints.regenerate, there, "primary")
    assert (after["primaryKey"] != keys["primaryKey"], after["secondaryKey"]) == (True, keys["secondaryKey"])
    hashes = {there.deps.keys.hash_token(key) for key in after.values()}
    assert [set(there.sites[compute].order().key_hashes) for compute in ("c1", "c2")] == [hashes, hashes]


def test_separate_keys_open_one_site_each(there):
    there.endpoint(keys="separate")
    found = ask(endpoints.get_credentials, there)["computes"]
    assert found["c1"] != found["c2"]
    assert ask(endpoints.get_credentials, there, compute="azureml:c2") == found["c2"]
    with pytest.raises(Refused) as caught:
        ask(endpoints.regenerate, there, "primary")
    assert caught.value.code == "MissingField"
    after = ask(endpoints.regenerate, there, "primary", compute="c2")
    assert after["secondaryKey"] == found["c2"]["secondaryKey"]
    assert ask(endpoints.get_credentials, there)["computes"]["c1"] == found["c1"]
    reader = Caller("rita", "reader", WORKSPACE)
    with pytest.raises(Forbidden):
        endpoints.get_credentials(there.deps, reader, WORKSPACE, NAME)


def test_tokens_open_every_site(there):
    there.endpoint(auth_mode="aml_token")
    for compute in ("c1", "c2"):
        there.sites[compute].accepts()
    assert ask(endpoints.get_credentials, there)["accessToken"]
    with pytest.raises(Refused):
        ask(endpoints.get_keys, there)


def test_traffic_goes_everywhere_and_needs_a_deployment_that_is_ready_everywhere(there):
    there.serving()
    there.deploy("green")
    there.turns()
    there.says("c1")
    there.says("c1")
    with pytest.raises(Conflict):
        there.update(traffic={"green": 100})
    there.says("c2", "failed")
    there.calm()
    with pytest.raises(Refused) as caught:
        there.update(traffic={"green": 100})
    assert "never been ready on compute c2" in caught.value.message
    there.renew("green", environment_variables={"A": "1"})
    there.calm()
    assert there.update(traffic={"blue": 60, "green": 40})["provisioning_state"] == "Updating"
    there.calm()
    assert there.seen()["provisioning_state"] == "Succeeded"
    for compute in ("c1", "c2"):
        assert there.sites[compute].order().traffic == {"blue": 60, "green": 40}
    with pytest.raises(Refused):
        there.update(traffic={"red": 100})


def test_where_predictions_are_asked(there):
    there.endpoint()
    there.says("c2")
    told = ask(endpoints.scoring, there)
    assert (told["compute"], told["reachable"]) == ("c2", True), "c1 has no address yet"
    there.says("c1")
    assert ask(endpoints.scoring, there)["compute"] == "c1"
    assert ask(endpoints.scoring, there, compute="c2")["compute"] == "c2"
    there.goes("c1")
    assert ask(endpoints.scoring, there)["compute"] == "c2"
    assert there.seen()["scoring_uri"] == there.at("c2")["scoring_uri"]
    with pytest.raises(Refused) as caught:
        ask(endpoints.scoring, there, compute="c9")
    assert "It is on: c1, c2" in caught.value.hint


def test_figures_of_each_site_and_their_sums(there):
    there.serving()
    for compute, requests in (("c1", 3.0), ("c2", 4.0)):
        revision = there.sites[compute].order().revisions[0].revision
        told = {revision: {"requests": requests, "p99_ms": 5.0}}
        labels = {revision: {"labels": 10, "correct": int(requests), "predictions": 10}}
        there.says(compute, counters=told, accuracy=labels)
    found = ask(endpoints.stats, there)
    assert found["deployments"]["blue"]["requests"] == 7.0
    assert found["deployments"]["blue"]["accuracy"]["value"] == 0.35
    assert (found["deployments"]["blue"]["ready"], found["deployments"]["blue"]["wanted"]) == (2, 2)
    assert "p99_ms" not in found["deployments"]["blue"], "latencies cannot be added up"
    assert {one["compute"]: one["requests"] for one in found["revisions"].values()} == {"c1": 3.0, "c2": 4.0}
    assert ask(endpoints.stats, there, compute="c2")["deployments"]["blue"]["requests"] == 4.0


def test_an_offline_site_waits_and_gets_what_is_newest(there):
    there.serving()
    there.goes("c2")
    assert there.seen()["provisioning_state"] == "Succeeded"
    there.renew(environment_variables={"A": "1"})
    there.calm()
    seen = there.seen()
    assert (seen["provisioning_state"], seen["ferry"]["waiting_for"]) == ("Updating", ["c2"])
    assert seen["ferry"]["reason"] == "c2: waits for its site, which is offline"
    there.renew(environment_variables={"A": "2"})
    there.calm()
    there.returns("c2")
    there.calm()
    assert there.seen()["provisioning_state"] == "Succeeded"
    for compute in ("c1", "c2"):
        [revision] = there.sites[compute].order().revisions
        assert revision.environment_variables == {"A": "2"}


def test_a_compute_more_gets_everything(there):
    there.endpoint(compute=["c1"])
    there.calm()
    there.deploy(all_traffic=True)
    there.calm()
    assert not there.has("c2")
    assert there.update(compute=["c1", "azureml:c2"])["provisioning_state"] in ("Creating", "Updating")
    there.calm()
    assert there.seen()["provisioning_state"] == "Succeeded"
    assert there.sites["c2"].order().traffic == {"blue": 100}
    assert there.at("c2")["deployments"]["blue"]["ready"] == 1


def test_a_compute_less_is_drained_and_deleted(there):
    there.serving()
    there.update(compute=["c2"])
    there.turns()
    assert there.sites["c1"].wish().order is None
    assert there.at("c1")["provisioning_state"] == "Deleting"
    there.calm()
    seen = there.seen()
    assert (seen["compute"], list(seen["ferry"]["sites"]), seen["provisioning_state"]) == (["c2"], ["c2"], "Succeeded")
    there.update(compute=["c2", "c1"])
    there.calm()
    assert there.seen()["provisioning_state"] == "Succeeded"
    assert there.sites["c1"].order().traffic == {"blue": 100}


def test_an_offline_compute_is_removed_when_it_returns(there):
    there.serving()
    there.goes("c1")
    there.update(compute=["c2"])
    there.calm()
    assert there.seen()["ferry"]["waiting_for"] == ["c1"]
    there.update(description="others go on")
    there.returns("c1")
    there.calm()
    assert list(there.seen()["ferry"]["sites"]) == ["c2"]


def test_delete_removes_it_everywhere_also_where_nobody_answers_now(there):
    there.serving()
    there.goes("c2")
    ask(endpoints.delete, there)
    there.calm()
    seen = there.seen()
    assert (seen["provisioning_state"], seen["ferry"]["waiting_for"]) == ("Deleting", ["c2"])
    assert "offline" in seen["ferry"]["reason"]
    with pytest.raises(Conflict):
        there.update(traffic={})
    there.returns("c2")
    there.calm()
    with pytest.raises(NotFound):
        there.seen()
    there.endpoint()


def test_a_site_that_was_forgotten_holds_nothing_up(there):
    from ferryml.control import detaching, sites

    there.serving()
    there.goes("c2")
    detaching.detach(there.deps, OWNER, WORKSPACE, "c2", "keep")
    sites.delete(there.deps, OWNER, "edge")
    there.update(compute=["c1"])
    there.calm()
    assert list(there.seen()["ferry"]["sites"]) == ["c1"]
    ask(endpoints.delete, there)
    there.calm()
    with pytest.raises(NotFound):
        there.seen()


@pytest.mark.parametrize("changes", [{"auth_mode": "aml_token"}, {"keys": "separate"}, {"name": "other"}])
def test_what_cannot_change(there, changes):
    there.endpoint()
    with pytest.raises(Refused) as caught:
        there.update(**changes)
    assert caught.value.code == "NotSupported"


def test_put_makes_it_and_brings_it_to_the_document(there):
    document = {"name": NAME, "compute": ["c1"]}
    endpoints.put(there.deps, OWNER, WORKSPACE, NAME, document)
    there.calm()
    endpoints.put(there.deps, OWNER, WORKSPACE, NAME, {**document, "compute": ["c1", "c2"], "tags": {"a": "b"}})
    there.calm()
    seen = there.seen()
    assert (seen["compute"], seen["tags"], seen["provisioning_state"]) == (["c1", "c2"], {"a": "b"}, "Succeeded")


def test_an_endpoint_on_one_compute_is_what_it_was(there):
    made = endpoints.create(there.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    assert "sites" not in made["ferry"]
    there.says("c1")
    assert ask(endpoints.show, there) == ask(one_endpoint.show, there)
    assert ask(endpoints.scoring, there) == ask(one_endpoint.scoring, there)
    assert ask(endpoints.stats, there) == ask(one_endpoint.stats, there)
    assert ask(endpoints.get_credentials, there) == ask(one_endpoint.keys, there)
    ask(endpoints.regenerate, there, "primary")
    with pytest.raises(Refused):
        ask(endpoints.scoring, there, compute="c2")
    ask(endpoints.delete, there)
    there.says("c1")
    with pytest.raises(NotFound):
        there.seen()
