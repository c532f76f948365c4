"""Agent and gateway: each with its own account, token and volume."""

import pytest

from ferryml.compile.install.programs import programs, store
from ferryml.compile.install.values import AgentValues


def pods(**values):
    made = programs(AgentValues.model_validate(values), "s", "1")
    return {body["metadata"]["name"]: body["spec"] for body in made if body["kind"] == "Deployment"}


def volumes(spec):
    return {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}


def test_only_the_agent_has_the_token_for_the_gateways_own_door():
    made = pods()
    token = volumes(made["ferry-agent"])["gateway-token"]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "ferry-gateway-admin"
    assert "gateway-token" not in volumes(made["ferry-gateway"])
    for name, spec in made.items():
        assert spec["template"]["spec"]["serviceAccountName"] == name


def test_an_old_program_ends_before_a_new_one_begins():
    assert {spec["strategy"]["type"] for spec in pods().values()} == {"Recreate"}
    assert pods(agent={"replicas": 2})["ferry-agent"]["replicas"] == 2


@pytest.mark.parametrize(
    ("chosen", "volume", "claims"),
    [
        ({}, {"persistentVolumeClaim": {"claimName": "ferry-store"}}, 1),
        ({"kind": "existing", "claim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}, 0),
        ({"kind": "ephemeral"}, {"emptyDir": {}}, 0),
    ],
)
def test_where_the_site_store_is(chosen, volume, claims):
    values = {"gateway": {"store": chosen}}
    assert volumes(pods(**values)["ferry-gateway"])["store"] == {"name": "store", **volume}
    assert len(store(AgentValues.model_validate(values), "s")) == claims


def test_a_claim_may_name_its_class_and_size():
    values = AgentValues.model_validate({"gateway": {"store": {"size": "1Gi", "storageClass": "fast"}}})
    assert store(values, "s")[0]["spec"] == {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast",
    }  # fmt: skip


def test_pods_with_the_selectors_of_service_and_policies():
    for name, spec in pods().items():
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert labels["app.kubernetes.io/name"] == name
