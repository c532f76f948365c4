"""Who may call whom in the system namespace."""

from ferryml.compile.install.policies import policies
from ferryml.compile.install.values import AgentValues


def made():
    return {body["metadata"]["name"]: body["spec"] for body in policies(AgentValues(), "s")}


def test_nobody_calls_the_agent():
    assert made()["ferry-agent"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in made()["ferry-agent"]


def test_only_pods_of_ferrys_making_call_the_gateway():
    (rule,) = made()["ferry-gateway"]["ingress"]
    assert all("podSelector" in caller for caller in rule["from"])
    assert rule["ports"] == [{"port": 8443, "protocol": "TCP"}]


def test_preparations_reach_the_gateway_and_names_only():
    spec = made()["ferry-preparation"]
    (gateway,) = spec["egress"][0]["to"]
    assert gateway["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "s"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {8443, 53}


def test_switched_off():
    assert policies(AgentValues(network_policy=False), "s") == []


BUILDS = {"registry": "r.local:5000", "networks": ("10.1.0.0/16",)}


def test_builds_reach_the_gateway_names_and_their_registry():
    values = AgentValues.model_validate({"builds": BUILDS})
    spec = {body["metadata"]["name"]: body["spec"] for body in policies(values, "s")}["ferry-build"]
    assert spec["podSelector"] == {"matchLabels": {"ferryml.dev/kind": "build"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"][:2] == made()["ferry-preparation"]["egress"]
    assert spec["egress"][2] == {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    assert "ferry-build" not in made()
