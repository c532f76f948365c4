"""What a document would change."""

from ferryml.cli.applying import Plan, carry_out, planned
from ferryml.cli.kit import Shared
from ferryml.domain.spec import Data, Datastore


def test_a_plan_says_what_changes(client):
    spec = Datastore(name="p1", type="local", root="/data", site="cloud", tags={"a": "1"})
    first = planned(client, "datastore", spec)
    assert (first.action, dict(first.changes)) == ("create", {})
    shared = Shared()
    vars(shared)["client"] = client
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
