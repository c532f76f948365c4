"""Deployments of endpoints on several computes: asked for once, brought to each, refused whole."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME
from ferryml.control import assets, datastores, deployment_logs, feedback, lineage, rollouts
from ferryml.control import deployments as one_deployment
from ferryml.control import spread_deployments as deployments
from ferryml.control import spread_endpoints as endpoints
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    made = SpreadPlay(play)
    made.endpoint()
    made.calm()
    return made


def ask(function, there, *args, **named):
    return function(there.deps, OWNER, WORKSPACE, NAME, *args, **named)


def revision_at(there, compute, name="blue"):
    return there.shown(name)["ferry"]["sites"][compute]["serving"]


def test_it_succeeds_once_it_serves_everywhere(there):
    assert there.deploy()["provisioning_state"] == "Creating"
    there.turns()
    there.says("c1")
    there.says("c1")
    made = there.shown()
    assert (made["provisioning_state"], made["ferry"]["reason"]) == ("Creating", "c2: Creating")
    assert made["ferry"]["sites"]["c1"]["provisioning_state"] == "Succeeded"
    there.says("c2")
    there.says("c2")
    made = there.shown()
    assert (made["provisioning_state"], made["name"], made["endpoint_name"]) == ("Succeeded", "blue", NAME)
    assert {compute: (one["ready"], one["desired"]) for compute, one in made["ferry"]["sites"].items()} == {
        "c1": (1, 1), "c2": (1, 1),
    }  # fmt: skip
    assert [one["name"] for one in ask(deployments.list_deployments, there)] == ["blue"]
    with pytest.raises(Conflict):
        there.deploy()


def test_the_first_takes_all_traffic_when_it_is_said(there):
    there.deploy(all_traffic=True)
    there.turns()
    there.says("c1")
    there.turns()
    assert there.seen()["traffic"] == {"blue": 100}
    assert there.shown()["provisioning_state"] != "Succeeded", "its traffic is on the way"
    there.calm()
    assert (there.shown()["provisioning_state"], there.shown()["traffic"]) == ("Succeeded", 100)
    assert [there.sites[compute].order().traffic for compute in ("c1", "c2")] == [{"blue": 100}] * 2


def test_one_that_fails_on_one_site_names_it(there):
    there.deploy()
    there.turns()
    there.says("c1")
    there.says("c2", "failed")
    there.calm()
    made, seen = there.shown(), there.seen()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Failed", "ResourceNotReady")
    assert made["ferry"]["reason"].startswith("c2: ")
    assert (seen["provisioning_state"], "c2: deployment blue" in seen["ferry"]["reason"]) == ("Failed", True)
    assert there.at("c1")["provisioning_state"] == "Succeeded"
    assert there.sites["c2"].order().revisions == ()
    there.renew()
    there.calm()
    assert there.shown()["provisioning_state"] == "Succeeded", "asked for again, it is tried again"


def test_an_update_that_fails_on_one_site_leaves_what_serves(there):
    there.deploy(all_traffic=True)
    there.calm()
    old = revision_at(there, "c2")
    there.renew(environment_variables={"A": "1"})
    there.turns()
    there.says("c1")
    there.says("c2", "failed")
    there.calm()
    assert there.shown()["provisioning_state"] == "Failed"
    assert there.seen()["provisioning_state"] == "Succeeded", "everywhere somebody answers"
    assert revision_at(there, "c2") == old
    assert there.sites["c1"].order().revisions[0].environment_variables == {"A": "1"}


def test_counts_change_in_place(there):
    there.deploy(all_traffic=True)
    there.calm()
    before = {compute: revision_at(there, compute) for compute in ("c1", "c2")}
    there.renew(instance_count=3)
    there.calm()
    assert {compute: revision_at(there, compute) for compute in ("c1", "c2")} == before
    assert [there.sites[compute].order().revisions[0].instances for compute in ("c1", "c2")] == [3, 3]
    there.renew(description="words")
    assert there.shown()["provisioning_state"] == "Succeeded", "no site needs to hear of words"
    with pytest.raises(Refused):
        there.renew(instance_type="big")
    with pytest.raises(Refused):
        there.renew(name="other")


def test_a_compute_outside_the_models_zone_is_refused_by_name(play):
    there = SpreadPlay(play, zone="onprem")
    there.endpoint()
    there.calm()
    place = {"name": "local", "type": "local", "root": "/data", "site": "edge"}
    datastores.create(play.deps, OWNER, WORKSPACE, place)
    tree = play.folder({"model.pkl": b"x"})
    model = {"name": "m", "path": f"content:tree:{tree.digest}:", "type": "custom_model"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", model)
    with play.store.begin() as tx:
        row = tx.get("model", WORKSPACE, "m", "1")
        bound = {**row.status["content"], "zones": ["onprem"]}
        tx.update(row.model_copy(update={"status": {**row.status, "content": bound}}))
    with pytest.raises(FerryError) as caught:
        there.deploy(model="azureml:m:1")
    assert "compute c1 is on site cloud" in caught.value.message
    with pytest.raises(NotFound):
        there.shown()
    there.update(compute=["c2"])
    there.calm()
    there.deploy(model="azureml:m:1")
    there.calm()
    assert there.shown()["provisioning_state"] == "Succeeded"
    with pytest.raises(FerryError) as caught:
        there.update(compute=["c1", "c2"])
    assert "compute c1 is on site cloud" in caught.value.message


def test_every_site_takes_the_same_model(there, play):
    model = {"name": "m", "path": f"content:tree:{play.folder({'a': b'1'}).digest}:", "type": "custom_model"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", model)
    there.goes("c2")
    assert there.deploy(model="azureml:m@latest")["model"] == "azureml:m:1"
    there.calm()
    newer = {**model, "path": f"content:tree:{play.folder({'a': b'2'}).digest}:"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", newer)
    there.returns("c2")
    there.calm()
    assert [there.sites[compute].order().revisions[0].model_name for compute in ("c1", "c2")] == ["model:m:1"] * 2


def test_it_is_deleted_everywhere_and_where_nobody_answers_later(there):
    there.deploy()
    there.calm()
    there.deploy("green")
    there.calm()
    there.goes("c2")
    ask(deployments.delete, there, "green")
    there.calm()
    with pytest.raises(NotFound):
        there.shown("green")
    assert there.seen()["ferry"]["waiting_for"] == ["c2"]
    there.deploy("green", environment_variables={"NEW": "1"})
    there.calm()
    there.returns("c2")
    there.calm()
    assert there.seen()["provisioning_state"] == "Succeeded"
    found = {one.deployment: one.environment_variables for one in there.sites["c2"].order().revisions}
    assert found == {"blue": {}, "green": {"NEW": "1"}}


def test_one_with_traffic_is_not_deleted(there):
    there.deploy(all_traffic=True)
    there.calm()
    with pytest.raises(Conflict) as caught:
        ask(deployments.delete, there, "blue")
    assert caught.value.code == "InUse"


def test_records_of_two_sites_do_not_share_a_folder(there):
    path = "azureml://datastores/a/paths/b"
    collected = {"collections": {"request": {"enabled": True, "data": {"path": path}}}}
    with pytest.raises(Refused) as caught:
        there.deploy(data_collector=collected)
    assert (caught.value.code, "c1, c2 would write over each other" in caught.value.message) == ("NotSupported", True)
    document = there.sites["c1"].document(data_collector=collected)
    with pytest.raises(Refused) as caught:
        rollouts.create(there.deps, OWNER, WORKSPACE, {"deployment": document, "endpoints": [NAME]})
    assert caught.value.code == "NotSupported"
    off = {"collections": {"request": {"enabled": False, "data": {"path": path}}}}
    assert there.deploy(data_collector=off)["name"] == "blue"


def test_put_replaces_the_whole(there):
    there.deploy(environment_variables={"A": "1"})
    there.calm()
    document = there.sites["c1"].document(description="d")
    made = deployments.put(there.deps, OWNER, WORKSPACE, NAME, "blue", document)
    assert (made["environment_variables"], made["description"]) == ({}, "d")
    there.calm()
    made = deployments.put(there.deps, OWNER, WORKSPACE, NAME, "red", there.sites["c1"].document("red"))
    assert made["provisioning_state"] == "Creating"


def test_labels_go_where_the_request_was_answered(there):
    there.deploy(all_traffic=True)
    there.calm()
    labels = [
        {"request_id": f"{revision_at(there, compute)}-{number:016x}", "label": 1}
        for number, compute in enumerate(("c1", "c2", "c2"))
    ]
    told = feedback.give(there.deps, OWNER, WORKSPACE, NAME, labels)
    assert {one["compute"]: one["labels"] for one in told["sent"]} == {"c1": 1, "c2": 2}
    for site, many in (("cloud", 1), ("edge", 2)):
        [order] = [one.order for one in there.play.wishes(site).wishes if one.uid.startswith("feedback.")]
        assert (order.endpoint, len(order.labels)) == (NAME, many)


def test_a_prediction_is_traced_to_its_compute(there):
    there.deploy()
    there.calm()
    found = lineage.trace(there.deps, OWNER, WORKSPACE, f"{revision_at(there, 'c2')}-{'0' * 16}")
    assert (found["endpoint"], found["compute"], found["deployment"]) == (NAME, "c2", "blue")
    assert found["code"]


def test_logs_are_of_a_compute(there):
    there.deploy()
    there.calm()
    with there.deps.store.begin() as tx:
        path = f"deployments/blue/{revision_at(there, 'c2')}/inference-server.log"
        tx.append_log(WORKSPACE, f"endpoint.{WORKSPACE}.{NAME}", path, 0, b"hello\n")

    def logs(compute=""):
        return deployment_logs.get_logs(
            there.deps, OWNER, WORKSPACE, NAME, "blue", deployment_logs.Wanted(compute=compute)
        )  # fmt: skip

    assert (logs()["content"], logs()["compute"]) == ("hello\n", "c2")
    assert logs("c1")["content"] == ""
    assert logs("c2")["content"] == "hello\n"
    with pytest.raises(Refused):
        logs("c9")


def test_deployments_of_one_compute_are_what_they_were(there):
    ask(endpoints.delete, there)
    there.calm()
    endpoints.create(there.deps, OWNER, WORKSPACE, {"name": NAME, "compute": "c1"})
    there.says("c1")
    there.deploy()
    there.says("c1")
    there.says("c1")
    assert there.shown() == ask(one_deployment.show, there, "blue")
    there.renew(environment_variables={"A": "1"})
    there.says("c1")
    assert there.shown()["environment_variables"] == {"A": "1"}
    deployments.put(there.deps, OWNER, WORKSPACE, NAME, "blue", there.sites["c1"].document())
    there.says("c1")
    ask(deployments.delete, there, "blue")
    there.says("c1")
    assert ask(deployments.list_deployments, there) == []
