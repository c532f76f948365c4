"""What a document would change."""

from endpoint_play import NAME, EndpointPlay
from ferryml.cli.applying import Plan, carry_out, direct, directs, planned
from ferryml.cli.kit import Shared
from ferryml.domain.spec import Data, Datastore, OnlineEndpoint


def using(client):
    shared = Shared()
    vars(shared)["client"] = client
    return shared


def test_a_plan_says_what_changes(client):
    spec = Datastore(name="p1", type="local", root="/data", site="cloud", tags={"a": "1"})
    first = planned(client, "datastore", spec)
    assert (first.action, dict(first.changes)) == ("create", {})
    shared = using(client)
    carry_out(shared, first, wait=False)
    assert planned(client, "datastore", spec).action == "unchanged"
    other = planned(
        client, "datastore", Datastore(name="p1", type="local", root="/data", site="cloud", tags={"a": "2"})
    )
    assert other.changes == {"tags": ({"a": "1"}, {"a": "2"})}
    carry_out(shared, other, wait=False)
    assert client.datastores.get("p1")["tags"] == {"a": "2"}


def test_an_asset_without_version_is_always_new(client):
    assert planned(client, "data", Data(name="n", path="azureml://datastores/x/paths/y")).action == "create"


def test_a_plan_as_people_and_scripts_read_it():
    plan = Plan("data", "d", None, "update", {"description": ("a", "b" * 100)})
    assert list(plan.lines()) == ["~ data d: update", f"    description: a -> {'b' * 59}…"]
    assert plan.row()["changes"]["description"]["from"] == "a"


def test_an_endpoint_has_its_shares_when_its_deployments_are_there(desk, client):
    play = EndpointPlay(desk)
    wanted = OnlineEndpoint(name=NAME, compute="c1", traffic={"blue": 100}, description="one")
    first = planned(client, "online-endpoint", wanted)
    assert (first.action, directs(first)) == ("create", True)
    carry_out(using(client), first, wait=False)
    assert client.online_endpoints.get(NAME)["traffic"] == {}
    play.says()
    play.serving("blue")
    direct(using(client), first, wait=False)
    play.says()
    assert client.online_endpoints.get(NAME)["traffic"] == {"blue": 100}
    assert not directs(planned(client, "online-endpoint", wanted))
    play.serving("green")
    second = planned(client, "online-endpoint", wanted.model_copy(update={"traffic": {"blue": 90, "green": 10}}))
    carry_out(using(client), second, wait=False)
    assert (directs(second), client.online_endpoints.get(NAME)["traffic"]) == (True, {"blue": 100})
    direct(using(client), second, wait=False)
    assert client.online_endpoints.get(NAME)["traffic"] == {"blue": 90, "green": 10}
