"""Pods of Ferry's own meet the Restricted Pod Security level."""

import pytest

from ferryml.compile.install.kit import obj, pod, role_name
from ferryml.compile.install.manifests import agent
from ferryml.compile.install.removal import removal
from ferryml.compile.install.values import AgentValues, Images
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
