"""Rollouts of endpoints on several computes: evidence for each, an order, and what is asked for afterwards."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME
from ferryml.control import assets, rollouts
from ferryml.control import spread_endpoints as endpoints
from ferryml.control.loops import endpoints as time
from ferryml.control.serving_wishes import BUDGET_S
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.spec.rollout import RolloutPlan
from spread_play import SpreadPlay

C1, C2 = f"{NAME}@c1", f"{NAME}@c2"


@pytest.fixture
def there(play):
    made = SpreadPlay(play)
    made.serving()
    return made


def roll(there, **fields):
    document = there.sites["c1"].document(environment_variables={"NEW": "1"})
    made = {"name": "r", "deployment": document, "endpoints": [NAME], "keep_previous": 600, **fields}
    told = rollouts.create(there.deps, OWNER, WORKSPACE, made)
    there.turns()
    return told


def seen(there):
    told = rollouts.show(there.deps, OWNER, WORKSPACE, "r")
    return told["status"], {name: one["state"] for name, one in told["ferry"]["endpoints"].items()}


def variables(there):
    found = {}
    for compute in ("c1", "c2"):
        serving = there.at(compute)["deployments"]["blue"]["serving"]
        found[compute] = {
            one.revision: one.environment_variables for one in there.sites[compute].order().revisions
        }[serving]  # fmt: skip
    return found


def test_one_compute_after_another(there):
    assert roll(there)["endpoints"] == [NAME]
    assert seen(there) == ("running", {C1: "pending", C2: ""})
    assert there.sites["c2"].order().rollout is None
    there.says("c1", "stepping")
    there.turns()
    assert seen(there) == ("running", {C1: "stepping", C2: ""})
    assert there.at("c1")["rollout"]["state"] == "stepping"
    with pytest.raises(Conflict):
        there.renew(environment_variables={"B": "1"})
    there.says("c1")
    there.turns()
    assert seen(there) == ("running", {C1: "promoted", C2: "pending"})
    with pytest.raises(Conflict):
        there.update(traffic={})
    there.says("c2")
    there.turns()
    assert seen(there) == ("promoted", {C1: "promoted", C2: "promoted"})
    assert there.shown()["environment_variables"] == {"NEW": "1"}
    there.calm()
    assert there.shown()["provisioning_state"] == "Succeeded"
    assert variables(there) == {"c1": {"NEW": "1"}, "c2": {"NEW": "1"}}
    assert there.seen()["traffic"] == {"blue": 100}


def test_all_computes_at_once(there):
    roll(there, order="parallel")
    assert seen(there) == ("running", {C1: "pending", C2: "pending"})
    there.says("c2")
    there.says("c1")
    there.turns()
    assert seen(there)[0] == "promoted"


def test_a_failure_on_the_second_takes_the_first_back(there):
    roll(there)
    there.says("c1")
    there.turns()
    there.says("c2", "rolled_back")
    there.turns()
    there.says("c1")
    there.turns()
    assert seen(there) == ("rolled_back", {C1: "rolled_back", C2: "rolled_back"})
    there.calm()
    assert variables(there) == {"c1": {}, "c2": {}}
    assert there.shown()["environment_variables"] == {}


def test_who_keeps_what_was_rolled_back_elsewhere_says_so(there):
    roll(there, on_failure="rollback_failed")
    there.says("c1")
    there.turns()
    there.says("c2", "rolled_back")
    there.turns()
    assert seen(there) == ("rolled_back", {C1: "promoted", C2: "rolled_back"})
    there.calm()
    assert "rolled back elsewhere" in there.shown()["ferry"]["sites"]["c1"]["reason"]
    there.renew(environment_variables={"B": "1"})
    there.calm()
    assert variables(there) == {"c1": {"B": "1"}, "c2": {"B": "1"}}
    assert there.shown()["ferry"]["sites"]["c1"]["reason"] == ""


def test_an_offline_site_is_waited_for_longer_than_an_operation_may_take(there):
    there.goes("c2")
    roll(there)
    there.says("c1")
    there.turns()
    status, told = seen(there)
    assert (status, told[C2]) == ("running", "pending")
    assert "c2, which is offline" in rollouts.show(there.deps, OWNER, WORKSPACE, "r")["ferry"]["reason"]
    for _ in range(3):
        there.play.dice.passes(BUDGET_S)
        there.play.beat("cloud")
        time.tick(there.deps)
        there.turns()
    assert seen(there)[0] == "running"
    there.returns("c2")
    assert time.tick(there.deps) == 0
    there.says("c2")
    there.turns()
    assert seen(there)[0] == "promoted"


def test_a_rollout_that_waits_can_be_given_up(there):
    there.goes("c2")
    roll(there)
    there.says("c1")
    there.turns()
    rollouts.act(there.deps, OWNER, WORKSPACE, "r", "rollback")
    there.turns()
    there.says("c1")
    there.turns()
    assert seen(there)[0] == "undoing", "c2 may have heard of it"
    there.renew(environment_variables={"B": "1"})
    there.calm()
    assert there.seen()["ferry"]["waiting_for"] == ["c2"]
    there.returns("c2")
    there.says("c2", "rolled_back")
    there.turns()
    assert seen(there)[0] == "rolled_back"
    there.calm()
    assert variables(there) == {"c1": {"B": "1"}, "c2": {"B": "1"}}


def test_what_is_being_deleted_does_not_wait_for_a_rollout(there):
    there.goes("c2")
    endpoints.delete(there.deps, OWNER, WORKSPACE, NAME)
    roll(there)
    there.calm()
    there.returns("c2")
    there.calm()
    assert endpoints.list_endpoints(there.deps, OWNER, WORKSPACE) == []
    assert seen(there)[0] == "rolled_back"


def test_an_offline_site_is_skipped_by_policy_and_says_so(there):
    there.goes("c2")
    roll(there, on_offline="skip")
    there.says("c1")
    there.turns()
    assert seen(there)[0] == "promoted"
    assert rollouts.show(there.deps, OWNER, WORKSPACE, "r")["ferry"]["skipped"] == [C2]
    there.returns("c2")
    there.calm()
    assert variables(there) == {"c1": {"NEW": "1"}, "c2": {}}, "nobody saw it prove itself there"
    assert there.shown()["ferry"]["sites"]["c2"]["reason"] == (
        "serves what it served before rollout r, which left it out"
    )
    there.renew(environment_variables={"B": "1"})
    there.calm()
    assert variables(there) == {"c1": {"B": "1"}, "c2": {"B": "1"}}


def test_the_first_deployment_can_come_by_a_rollout(play):
    there = SpreadPlay(play)
    there.endpoint()
    there.calm()
    roll(there)
    there.says("c1")
    there.turns()
    there.says("c2")
    there.turns()
    assert seen(there)[0] == "promoted"
    there.calm()
    assert (there.shown()["provisioning_state"], there.seen()["traffic"]) == ("Succeeded", {"blue": 100})
    assert [there.sites[compute].order().traffic for compute in ("c1", "c2")] == [{"blue": 100}] * 2


def test_a_person_can_roll_it_back_and_it_cannot_be_deleted_meanwhile(there):
    roll(there)
    with pytest.raises(Conflict):
        endpoints.delete(there.deps, OWNER, WORKSPACE, NAME)
    rollouts.act(there.deps, OWNER, WORKSPACE, "r", "rollback")
    assert there.sites["c1"].order().rollout.command == "rollback"
    there.says("c1", "rolled_back")
    there.turns()
    assert seen(there)[0] == "rolled_back"
    there.calm()
    assert variables(there) == {"c1": {}, "c2": {}}


def test_an_endpoint_that_is_on_no_compute_any_more_is_refused(there):
    endpoints.delete(there.deps, OWNER, WORKSPACE, NAME)
    there.turns()
    there.says("c1")
    there.says("c2")
    with pytest.raises(Refused):
        roll(there)


def test_the_champion_is_what_serves_on_the_first_compute(play):
    there = SpreadPlay(play)
    model = {"name": "m", "path": f"content:tree:{play.folder({'a': b'1'}).digest}:", "type": "custom_model"}
    assets.create(play.deps, OWNER, WORKSPACE, "model", model)
    there.endpoint()
    there.calm()
    there.deploy(model="azureml:m@latest")
    there.calm()
    plan = RolloutPlan(deployment=there.sites["c1"].document(), endpoints=(NAME,))
    with play.store.read() as tx:
        assert rollouts.champion(tx, WORKSPACE, plan) == "azureml:m:1"
