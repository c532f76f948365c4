"""Pods of Ferry's own meet the Restricted Pod Security level."""

import pytest

from ferryml.compile.install.kit import LOST_S, obj, pod, role_name
from ferryml.compile.install.manifests import agent
from ferryml.compile.install.removal import removal
from ferryml.compile.install.values import AgentValues, Images
from ferryml.settings import ClusterSettings
from pod_security import faults

SITE = {"name": "a", "server_url": "https://x"}


@pytest.mark.parametrize("values", [{}, {"userId": 0}, {"gateway": {"store": {"kind": "ephemeral"}}}])
def test_every_pod_is_restricted(values):
    chosen = AgentValues.model_validate({"site": SITE, **values})
    made = [*agent(chosen, "s", "1"), *removal(chosen, "s", "1")]
    pods = [body["spec"]["template"]["spec"] for body in made if body["kind"] in ("Deployment", "Job")]
    assert len(pods) == 3
    for spec in pods:
        assert not faults(spec)
        assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in spec["containers"])


def test_the_fixed_taints_of_system_pods_are_tolerated():
    spec = pod(AgentValues(tolerations=({"key": "mine", "operator": "Exists"},)), "a", {"name": "c"}, [])
    assert [one["key"] for one in spec["tolerations"]] == ["ml.azure.com/amlarc", "ml.azure.com/amlarc-system", "mine"]


def test_only_what_may_be_there_twice_leaves_a_lost_node_early():
    values = AgentValues.model_validate({"site": SITE, "cluster": {"serving_node_lost_s": 9}, "inference": {
        "enabled": True, "allow_insecure_connections": True,
    }})  # fmt: skip
    made = {one["metadata"]["name"]: one for one in agent(values, "s", "1") if one["kind"] == "Deployment"}
    assert {
        name: [one["tolerationSeconds"] for one in body["spec"]["template"]["spec"]["tolerations"]
               if "tolerationSeconds" in one]
        for name, body in made.items()
    } == {"ferry-agent": [9, 9], "ferry-router": [9, 9], "ferry-gateway": []}  # fmt: skip
    own = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    spec = pod(AgentValues(tolerations=(own,)), "a", {"name": "c"}, [], replaced=True)
    assert [one.get("tolerationSeconds") for one in spec["tolerations"][2:]] == [None, LOST_S]
    assert ClusterSettings.model_fields["serving_node_lost_s"].default == LOST_S


def test_pull_secrets_priority_and_nodes_are_passed_on():
    values = AgentValues(images=Images(pull_secrets=("p",)), priority_class="high", node_selector={"a": "b"})
    spec = pod(values, "a", {"name": "c"}, [])
    assert (spec["imagePullSecrets"], spec["priorityClassName"]) == ([{"name": "p"}], "high")
    assert spec["nodeSelector"] == {"a": "b"}
    assert "imagePullSecrets" not in pod(AgentValues(), "a", {"name": "c"}, [])


def test_two_installations_do_not_share_cluster_wide_names():
    assert role_name("one", "work") != role_name("two", "work")
    assert obj("v1", "Node", "n")["metadata"] == {
        "name": "n", "labels": {"app.kubernetes.io/name": "n", "app.kubernetes.io/part-of": "ferry"},
    }  # fmt: skip
