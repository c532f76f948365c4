"""An endpoint on several computes: one step at a time on each, and one word for all."""

import pytest

from ferryml.domain.spread import (
    Add,
    Deploy,
    DeploymentSeen,
    Drop,
    MemberSeen,
    Remove,
    Share,
    Told,
    Wanted,
    deployment_state,
    next_step,
    overall,
    site_state,
)

BLUE = Wanted(deployments={"blue": 3}, traffic={"blue": 100})
SERVES = DeploymentSeen(version=3, state="Succeeded", serves=True)
GOOD = MemberSeen("Succeeded", traffic={"blue": 100}, deployments={"blue": SERVES})


def member(**changes):
    fields = {"state": "Succeeded", "traffic": {"blue": 100}, "deployments": {"blue": SERVES}, **changes}
    return MemberSeen(**fields)


@pytest.mark.parametrize(
    ("wanted", "seen", "step"),
    [
        (BLUE, None, Add()), (None, None, None), (None, GOOD, Remove()), (None, member(state="Deleting"), None),
        (BLUE, GOOD, None),
        (BLUE, member(deployments={}), Deploy("blue")),
        (BLUE, member(deployments={"blue": DeploymentSeen(2, "Succeeded", True)}), Deploy("blue")),
        # tried there and failed: not tried again
        (BLUE, member(traffic={}, deployments={"blue": DeploymentSeen(3, "Failed")}), None),
        (BLUE, member(traffic={}), Share({"blue": 100}, {})),
        (BLUE, member(traffic={"blue": 100, "green": 0}), None),
        (BLUE, member(deployments={"blue": SERVES, "old": SERVES}), Drop("old")),
        # who has traffic is not dropped
        (Wanted(), member(), Share({}, {})),
        (Wanted(), member(traffic={}), Drop("blue")),
        # being removed: it comes again once it is gone
        (BLUE, member(state="Deleting"), None),
    ],
)  # fmt: skip
def test_one_step_at_a_time(wanted, seen, step):
    assert next_step(wanted, seen) == step


@pytest.mark.parametrize(
    ("wanted", "seen", "told"),
    [
        (BLUE, GOOD, Told("Succeeded")), (BLUE, None, Told("Creating")),
        (BLUE, member(busy=True, reason="begins"), Told("Updating", "begins")),
        (BLUE, member(busy=True, offline=True), Told("Updating", "waits for its site, which is offline", True)),
        (BLUE, member(state="Creating", busy=True, offline=True),
         Told("Creating", "waits for its site, which is offline", True)),
        (None, member(offline=True), Told("Deleting", "waits for its site, which is offline", True)),
        (BLUE, member(offline=True), Told("Succeeded", "its site is offline; what it has goes on serving")),
        (BLUE, member(state="Failed", reason="no answer"), Told("Failed", "no answer")),
        (BLUE, member(traffic={}, deployments={"blue": DeploymentSeen(3, "Failed", False, "no module")}),
         Told("Failed", "deployment blue: no module")),
        # an update that failed leaves what served before: the deployment says so, the endpoint serves
        (BLUE, member(deployments={"blue": DeploymentSeen(3, "Failed", True, "no module")}), Told("Succeeded")),
    ],
)  # fmt: skip
def test_how_it_is_on_one_compute(wanted, seen, told):
    assert site_state(wanted, seen) == told


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (GOOD, Told("Succeeded")), (None, Told("Creating")),
        (member(deployments={"blue": DeploymentSeen(2, "Succeeded", True)}), Told("Updating")),
        (member(offline=True, deployments={}), Told("Creating", "waits for its site, which is offline", True)),
        (member(deployments={"blue": DeploymentSeen(3, "Failed", True, "bad")}), Told("Failed", "bad")),
        (member(deployments={"blue": DeploymentSeen(3, "Creating")}), Told("Creating")),
    ],
)  # fmt: skip
def test_how_a_deployment_is_on_one_compute(seen, told):
    assert deployment_state("blue", BLUE, seen) == told
    assert deployment_state("green", BLUE, seen).state == "Deleting"


@pytest.mark.parametrize(
    ("sites", "told"),
    [
        ({"a": Told("Succeeded"), "b": Told("Succeeded")}, Told("Succeeded")),
        ({"a": Told("Succeeded"), "b": Told("Failed", "no room")}, Told("Failed", "b: no room")),
        ({"a": Told("Failed", "no room"), "b": Told("Updating")}, Told("Updating", "b: Updating")),
        ({"a": Told("Creating"), "b": Told("Updating", "x", True)}, Told("Creating", "a: Creating")),
        ({"a": Told("Succeeded"), "b": Told("Updating", "waits", True)}, Told("Updating", "b: waits", True)),
        ({"a": Told("Failed", "f"), "b": Told("Updating", "waits", True)}, Told("Failed", "a: f; b: waits")),
        ({"a": Told("Succeeded"), "b": Told("Deleting", "waits", True)}, Told("Updating", "b: waits", True)),
    ],
)  # fmt: skip
def test_one_word_for_all(sites, told):
    assert overall(sites) == told


def test_the_whole_is_being_deleted_until_each_is():
    waits = Told("Deleting", "waits", True)
    assert overall({"a": Told("Deleting"), "b": waits}, leaving=True) == Told("Deleting", "a: Deleting")
    assert overall({"b": waits}, leaving=True) == Told("Deleting", "b: waits", True)
