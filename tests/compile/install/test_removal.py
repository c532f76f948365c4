"""The Job that ends an installation may do just that."""

from ferryml.compile.install.removal import removal
from ferryml.compile.install.values import AgentValues


def made(**values):
    return {body["kind"]: body for body in removal(AgentValues.model_validate(values), "s", "1")}


def command(**values):
    return " ".join(made(**values)["Job"]["spec"]["template"]["spec"]["containers"][0]["command"])


def test_it_knows_where_to_look():
    assert command(namespaces=["a", "b"]).endswith("remove --system s --namespaces ferry-environments,a,b")
    assert command(clusterWide=True).endswith("remove --system s")


def test_definitions_go_only_with_purge():
    assert "ClusterRole" not in made()
    assert command(purge=True).endswith("--purge")
    (rule,) = made(purge=True)["ClusterRole"]["rules"]
    assert rule["verbs"] == ["delete"]
    assert not any("amlarc" in name for name in rule["resourceNames"])


def test_it_stops_itself():
    assert made()["Job"]["spec"]["activeDeadlineSeconds"] < 300
