"""Endpoints: keys, traffic, one operation at a time, and an end that the site confirms."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.control import endpoints, workspaces
from ferryml.control.context import SYSTEM
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused
from ferryml.domain.statuses import Accuracy


@pytest.fixture
def site(play):
    play.site()
    return EndpointPlay(play)


def code(caught) -> str:
    return caught.value.code


def test_it_is_there_once_its_site_says_so(site):
    made = endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "azureml:c1"})
    assert (made["provisioning_state"], made["scoring_uri"], made["compute"]) == ("Creating", None, "c1")
    site.says()
    seen = site.seen()
    assert seen["provisioning_state"] == "Succeeded"
    assert seen["scoring_uri"].endswith("/api/v1/endpoint/digits/score")
    assert seen["openapi_uri"].endswith("/swagger.json")


def test_only_hashes_of_keys_leave_the_server(site):
    made = site.endpoint()
    keys = endpoints.keys(site.deps, OWNER, WORKSPACE, NAME)
    assert set(keys) == {"primaryKey", "secondaryKey"}
    assert len(set(keys.values())) == 2
    for secret in keys.values():
        assert secret not in str(made)
        assert secret not in site.order().model_dump_json()
        assert secret not in str(site.seen())
        assert site.deps.keys.hash_token(secret) in site.order().key_hashes


def test_a_new_key_replaces_one_and_leaves_the_other(site):
    site.endpoint()
    before = endpoints.keys(site.deps, OWNER, WORKSPACE, NAME)
    after = endpoints.regenerate(site.deps, OWNER, WORKSPACE, NAME, "primary")
    assert after["secondaryKey"] == before["secondaryKey"]
    assert after["primaryKey"] != before["primaryKey"]
    hashes = {site.deps.keys.hash_token(secret) for secret in after.values()}
    assert set(site.order().key_hashes) == hashes


def test_a_reader_sees_no_keys(site):
    site.endpoint()
    reader = Caller("rita", "reader", WORKSPACE)
    assert endpoints.show(site.deps, reader, WORKSPACE, NAME)["name"] == NAME
    for act in (endpoints.keys, endpoints.delete):
        with pytest.raises(Forbidden):
            act(site.deps, reader, WORKSPACE, NAME)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"traffic": {"blue": 100}}, "TrafficInvalid"), ({"mirror_traffic": {"blue": 10}}, "TrafficInvalid"),
        ({"compute": "nowhere"}, "ComputeNotFound"), ({"name": "x"}, "BadName"), ({"name": "a" * 40}, "BadName"),
        ({"auth_mode": "aad_token"}, "NotSupported"), ({"colour": 1}, "UnknownField"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_whole(site, fields, wanted):
    with pytest.raises(FerryError) as caught:
        endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1", **fields})
    assert code(caught) == wanted
    assert endpoints.list_endpoints(site.deps, OWNER, WORKSPACE) == []


def test_names_are_unique_in_workspace_and_on_site(site):
    site.endpoint()
    with pytest.raises(Conflict) as caught:
        endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    assert code(caught) == "AlreadyExists"
    workspaces.create(site.deps, SYSTEM, {"name": "other"})
    from ferryml.control import computes

    computes.attach(site.deps, OWNER, "other", {"type": "local", "name": "c1", "site": "cloud"})
    with pytest.raises(Conflict, match="another workspace"):
        endpoints.create(site.deps, OWNER, "other", {"name": NAME, "compute": "c1"})


def test_scorers_learn_where_to_ask_and_no_more(site):
    site.endpoint()
    scorer = Caller("sam", "scorer", WORKSPACE)
    told = endpoints.scoring(site.deps, scorer, WORKSPACE, NAME)
    assert (told["auth_mode"], set(told)) == ("key", {"name", "auth_mode", "scoring_uri", "openapi_uri"})
    assert told["scoring_uri"].endswith("/api/v1/endpoint/digits/score")
    for act in (endpoints.show, endpoints.keys, endpoints.stats):
        with pytest.raises(Forbidden):
            act(site.deps, scorer, WORKSPACE, NAME)
    with pytest.raises(Forbidden):
        endpoints.scoring(site.deps, Caller("rita", "reader", WORKSPACE), WORKSPACE, NAME)


def test_traffic_names_deployments_that_serve(site):
    site.endpoint()
    with pytest.raises(Refused) as caught:
        site.traffic(blue=100)
    assert code(caught) == "TrafficInvalid"
    site.deploy()
    site.says("failed")
    with pytest.raises(Refused, match="never been ready"):
        site.traffic(blue=100)


@pytest.mark.parametrize("shares", [{"blue": 110}, {"blue": 60}, {"blue": -10}, {"blue": 50, "green": 40}])
def test_traffic_adds_up(site, shares):
    site.endpoint()
    site.serving()
    with pytest.raises(Refused):
        site.traffic(**shares)
    assert site.seen()["traffic"] == {}


def test_traffic_goes_to_the_site_and_is_done_when_it_says_so(site):
    site.endpoint()
    site.serving()
    made = endpoints.update(site.deps, OWNER, WORKSPACE, NAME, {"traffic": {"blue": 100}})
    assert (made["provisioning_state"], made["traffic"]) == ("Updating", {"blue": 100})
    assert site.order().traffic == {"blue": 100}
    site.says(generation=site.wish().generation - 1)
    assert site.seen()["provisioning_state"] == "Updating"
    site.says()
    assert site.seen()["provisioning_state"] == "Succeeded"


def test_words_need_no_site(site):
    site.endpoint()
    before = site.wish().generation
    made = endpoints.update(site.deps, OWNER, WORKSPACE, NAME, {"description": "hi", "tags": {"a": 1}})
    assert (made["description"], made["tags"], made["provisioning_state"]) == ("hi", {"a": "1"}, "Succeeded")
    assert site.wish().generation == before


@pytest.mark.parametrize("changes", [{"compute": "c2"}, {"auth_mode": "aml_token"}, {"name": "other"}])
def test_some_things_never_change(site, changes):
    site.endpoint()
    with pytest.raises(Refused) as caught:
        endpoints.update(site.deps, OWNER, WORKSPACE, NAME, changes)
    assert code(caught) == "NotSupported"
    same = {"compute": "azureml:c1", "auth_mode": "Key"}
    assert endpoints.update(site.deps, OWNER, WORKSPACE, NAME, same)["compute"] == "c1"


def test_one_operation_at_a_time(site):
    def busy(act) -> None:
        with pytest.raises(Conflict) as caught:
            act()
        assert code(caught) == "OperationInProgress"

    def delete() -> None:
        endpoints.delete(site.deps, OWNER, WORKSPACE, NAME)

    endpoints.create(site.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    busy(site.deploy)
    busy(delete)
    site.says()
    site.serving()
    site.deploy("green")
    for act in (
        lambda: site.deploy("red"),
        lambda: site.traffic(blue=100),
        lambda: site.update(instance_count=2),
        delete,
    ):
        busy(act)
    endpoints.regenerate(site.deps, OWNER, WORKSPACE, NAME, "secondary")


def test_put_creates_and_then_changes(site):
    document = {"name": NAME, "compute": "c1", "description": "one"}
    assert endpoints.put(site.deps, OWNER, WORKSPACE, NAME, document)["provisioning_state"] == "Creating"
    site.says()
    site.serving()
    site.traffic(blue=100)
    made = endpoints.put(site.deps, OWNER, WORKSPACE, NAME, {**document, "description": "two"})
    assert (made["description"], made["traffic"]) == ("two", {"blue": 100})
    with pytest.raises(Refused):
        endpoints.put(site.deps, OWNER, WORKSPACE, NAME, {**document, "name": "other"})


def test_deleted_is_gone_when_the_site_says_so(site):
    site.endpoint()
    revision = site.serving()
    endpoints.delete(site.deps, OWNER, WORKSPACE, NAME)
    endpoints.delete(site.deps, OWNER, WORKSPACE, NAME)
    assert site.seen()["provisioning_state"] == "Deleting"
    assert site.wish().order is None
    site.says()
    with pytest.raises(NotFound):
        site.seen()
    with site.deps.store.read() as tx:
        assert tx.wish("cloud", UID) is None
        assert tx.find("deployment", workspace=WORKSPACE) == []
        assert tx.get("revision", WORKSPACE, revision).archived
    site.endpoint()


def test_figures(site):
    site.endpoint()
    revision = site.serving()
    counted = {revision: {"requests": 7.0, "p99_ms": 3.5}}
    labelled = {revision: Accuracy(labels=4, correct=3, predictions=9)}
    site.says(counters=counted, accuracy=labelled, recent_accuracy=labelled, weights={revision: 100})
    stats = endpoints.stats(site.deps, OWNER, WORKSPACE, NAME)
    assert stats["weights"] == {revision: 100}
    assert stats["deployments"]["blue"]["requests"] == 7
    assert stats["deployments"]["blue"]["accuracy"]["value"] == 0.75
    told = stats["revisions"][revision]
    assert told["p99_ms"] == 3.5
    assert [told[key] for key in ("deployment", "state", "ready", "wanted", "percent")] == [
        "blue", "Succeeded", 1, 1, 100,
    ]  # fmt: skip


def test_another_sites_word_does_not_count(site, play):
    play.site("other", compute="c2")
    site.endpoint()
    before = site.seen()["scoring_uri"]
    from ferryml.control import link
    from ferryml.domain.link import Report
    from ferryml.domain.statuses import EndpointStatus

    told = EndpointStatus(state="Succeeded", scoring_uri="http://evil/score")
    link.reports(site.deps, "other", "", [Report(uid=UID, generation=9, version=99, status=told, at=play.dice.now())])
    play.turns()
    assert site.seen()["scoring_uri"] == before
