"""The whole of an installation, once each; what lasts is apart."""

from ferryml.compile.install.manifests import agent, lasting
from ferryml.compile.install.values import AgentValues


def names(documents):
    return [(body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"]) for body in documents]


def test_each_object_once_and_accounts_before_what_names_them():
    made = names(agent(AgentValues(), "s", "1"))
    assert len(made) == len(set(made))
    kinds = [kind for kind, _, _ in made]
    assert kinds.index("ServiceAccount") < kinds.index("RoleBinding") < kinds.index("Deployment")


def test_taking_the_programs_away_leaves_namespace_and_volume():
    kept = set(names(lasting(AgentValues(), "s")))
    assert kept == {
        ("Namespace", None, "s"),
        ("Namespace", None, "ferry-environments"),
        ("PersistentVolumeClaim", "s", "ferry-store"),
    }
    theirs = AgentValues.model_validate({"environments": {"namespace": "made-by-it", "create": False}})
    assert {name for kind, _, name in names(lasting(theirs, "s")) if kind == "Namespace"} == {"s"}
    assert not kept & set(names(agent(AgentValues(), "s", "1")))
