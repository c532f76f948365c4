"""Built images in the doctor's eyes."""

import pytest

from ferryml.agent.doctor_builds import builds_findings
from kube_world import World, thing


def found(label=None, there=True):
    world = World()
    if there:
        place = thing("ferry-builds")
        place["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": label} if label else {}
        world.objects["v1/namespaces"].append(place)
    (one,) = builds_findings(world, "ferry-builds")
    return one


@pytest.mark.parametrize("label", [None, "privileged"])
def test_all_is_well(label):
    assert (found(label).code, found(label).level) == ("Ok", "ok")


@pytest.mark.parametrize("label", ["baseline", "restricted"])
def test_a_level_that_forbids_builds(label):
    one = found(label)
    assert (one.code, one.level, one.evidence) == (
        "AdmissionDenied", "failed", f"pod-security.kubernetes.io/enforce={label}",
    )  # fmt: skip
    assert "enforce=privileged" in one.fix


def test_a_namespace_that_is_not_there():
    assert (found(there=False).code, found(there=False).level) == ("NamespaceMissing", "failed")
