"""How computes on clusters are shown."""

from datetime import UTC, datetime

from control_play import OWNER, WORKSPACE
from ferryml.control import computes, sites
from ferryml.control.compute_views import capacity, missing_namespace, troubles, types
from ferryml.domain.placement import Place
from site_answers import NODE, a_cluster, a_finding, attach, inventory, told


def place(**more):
    return Place("c", "kube", "kube", "kubernetes", "ml", inventory(**more), last_seen=datetime(2025, 1, 1, tzinfo=UTC))


def show(play, name="kc"):
    return computes.show(play.deps, OWNER, WORKSPACE, name)


def test_types_say_whether_they_fit_and_start(play):
    found = types(place())
    assert set(found) == {"defaultinstancetype", "small", "huge"}
    assert (found["small"]["fits"], found["small"]["starts_now"]) == (True, True)
    assert (found["huge"]["fits"], found["huge"]["starts_now"]) == (False, False)
    assert "64" in found["huge"]["why"]
    assert found["defaultinstancetype"]["origin"] == "built-in"


def test_capacity_adds_up_nodes_that_work():
    made = place(nodes=[NODE, {**NODE, "name": "n2", "gpus": {"nvidia.com/gpu": 2}}, {**NODE, "ready": False}])
    found = capacity(made.nodes)
    assert (found["nodes"], found["ready"]) == (3, 2)
    assert found["allocatable"]["cpu"] == 8
    assert found["allocatable"]["nvidia.com/gpu"] == 2
    assert found["free"]["memory"] == 12 * 2**30


def test_a_compute_is_succeeded_only_while_work_can_run(play):
    a_cluster(play)
    assert attach(play)["provisioning_state"] == "Succeeded"
    assert show(play)["capacity"]["ready"] == 1
    told(play, "kube", namespaces=["default"])
    shown = show(play)
    assert shown["provisioning_state"] == "Failed"
    assert shown["provisioning_errors"][0].startswith("NamespaceMissing")
    told(play, "kube", doctor=[a_finding("warning")])
    assert show(play)["provisioning_state"] == "Succeeded"
    assert "mend coredns" in show(play)["ferry"]["warnings"][0]
    told(play, "kube", doctor=[a_finding()])
    assert show(play)["provisioning_state"] == "Failed"


def test_a_site_that_has_not_told_yet_is_creating(play):
    sites.create(play.deps, OWNER, "kube")
    assert attach(play)["provisioning_state"] == "Creating"


def test_the_command_that_makes_a_namespace_is_named():
    assert "--create-namespace" in missing_namespace(place(create_namespaces=True))["fix"]
    assert missing_namespace(place())["fix"] == "kubectl create namespace ml."
    assert "helm upgrade" in missing_namespace(place(cluster_wide=False))["fix"]


def test_findings_of_the_namespace_count_for_its_computes_alone():
    found = {"other": [a_finding()]}
    assert troubles(place(namespace_findings=found)) == ()
    assert troubles(place(namespace_findings={"ml": [a_finding()]}))[0]["code"] == "DnsFailed"
