import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.instance_types import choose, of_inventory, read, table, to_inventory, with_resources

SMALL = {"cpu": "700m", "memory": "1500Mi"}
SPEC = {"resources": {"requests": SMALL, "limits": {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": None}}}
GPU = {
    "nodeSelector": {"pool": "gpu"},
    "resources": {"requests": SMALL, "limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": 1}},
}


def one(name="a", spec=SPEC, group="ferryml.dev", **more):
    return {"apiVersion": f"{group}/v1alpha1", "kind": "InstanceType", "metadata": {"name": name}, "spec": spec, **more}


def test_a_list_is_read_in_one_go():
    items = [{"metadata": {"name": "a"}, "spec": SPEC}, {"metadata": {"name": "gpu"}, "spec": GPU}]
    document = {"apiVersion": "amlarc.azureml.com/v1alpha1", "kind": "InstanceTypeList", "items": items}
    assert [(kind.name, kind.origin) for kind in read(document)] == [("a", "amlarc"), ("gpu", "amlarc")]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (one(spec={}), "spec.resources"),
        (one(spec={**SPEC, "x": 1}), "spec.x"),
        (one(name="-"), "metadata.name"),
        ({"kind": "InstanceTypeList", "items": [{"spec": SPEC}]}, r"items\[0\].metadata"),
        (one(group="other.io"), "apiVersion"),
    ],
)
def test_the_place_of_a_fault_is_named(document, place):
    with pytest.raises(Refused, match=place) as caught:
        read(document)
    assert caught.value.code == "BadValue"


def test_the_default_is_there_until_a_resource_takes_its_place():
    assert table([])[0]["defaultinstancetype"].origin == "built-in"
    found, faults = table([one("defaultinstancetype")])
    assert (found["defaultinstancetype"].origin, faults) == ("ferry", ())


def test_our_own_group_comes_before_the_alias_and_faults_are_told():
    found, faults = table([one("a", GPU, "amlarc.azureml.com"), one("a"), one("bad", {})])
    assert found["a"].origin == "ferry"
    assert len(faults) == 1
    assert "bad is left out" in faults[0]


def test_types_survive_the_heartbeat():
    found, _ = table([one("a"), one("gpu", GPU)])
    assert of_inventory(to_inventory(found)) == found
    for told in ({"broken": {"resources": 1}, "worse": 3}, [], None):
        assert set(of_inventory(told)) == {"defaultinstancetype"}


def test_an_unknown_type_is_refused_with_those_there_are():
    found, _ = table([one("gpu-small"), one("a")])
    assert choose(found, "").name == "defaultinstancetype"
    with pytest.raises(Refused, match="a, defaultinstancetype, gpu-small") as caught:
        choose(found, "gpusmall")
    assert (caught.value.code, caught.value.hint) == ("InvalidInstanceType", "Did you mean gpu-small?")


TYPE = read(one(spec=GPU))[0]


def test_a_deployments_own_resources_take_the_place_of_the_types():
    own = with_resources(TYPE, {"requests": {"cpu": "1", "memory": "1Gi"}})
    assert own.requests == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert own.limits == TYPE.limits
    assert with_resources(TYPE, {}) is TYPE


def test_limits_up_to_the_types_are_taken():
    own = with_resources(TYPE, {"requests": SMALL, "limits": {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}})
    assert own.limits["memory"] == "4Gi"


@pytest.mark.parametrize(
    "given",
    [
        {"requests": {"cpu": "3", "memory": "1Gi"}},
        {"requests": SMALL, "limits": {"cpu": "3", "memory": "4Gi"}},
        {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "500m", "memory": "2Gi"}},
        {"requests": {**SMALL, "nvidia.com/gpu": "2"}},
        {"requests": {**SMALL, "other.io/x": "1"}},
        {"requests": {"cpu": "1"}},
        {"requests": {"cpu": "x", "memory": "1Gi"}},
    ],
)
def test_resources_beyond_the_type_or_themselves_are_refused(given):
    with pytest.raises(Refused) as caught:
        with_resources(TYPE, given)
    assert caught.value.code == "BadArgument"
