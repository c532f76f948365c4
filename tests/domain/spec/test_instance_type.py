import pytest
from pydantic import ValidationError

from ferryml.domain.spec.instance_type import BUILT_IN, InstanceType, InstanceTypeItem, InstanceTypeSpec, TypeResources

SMALL = {"cpu": "700m", "memory": "1500Mi"}


def resources(limits, requests=SMALL):
    return TypeResources.model_validate({"requests": requests, "limits": limits})


@pytest.mark.parametrize("gpu", [None, 0, 1, "2"])
def test_a_gpu_is_a_number_or_nothing(gpu):
    spec = InstanceTypeSpec(resources=resources({"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": gpu}))
    kind = InstanceType(name="gpu", spec=spec)
    expected = {} if not gpu else {"nvidia.com/gpu": str(gpu)}
    assert kind.limits == {"cpu": "1", "memory": "2Gi", **expected}
    assert kind.requests == {**SMALL, **expected}


@pytest.mark.parametrize(
    "limits",
    [
        {"cpu": "1"}, {"memory": "2Gi"}, {"cpu": "0", "memory": "2Gi"}, {"cpu": "", "memory": "2Gi"},
        {"cpu": "500m", "memory": "2Gi"}, {"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "0.5"},
        {"cpu": "1", "memory": "two"}, {"cpu": True, "memory": "2Gi"}, {"cpu": "-1", "memory": "2Gi"},
    ],
)  # fmt: skip
def test_resources_that_make_no_sense_are_refused(limits):
    with pytest.raises(ValidationError):
        resources(limits)


def test_a_gpu_is_asked_for_in_full():
    with pytest.raises(ValidationError, match="the same in requests and limits"):
        resources({"cpu": "1", "memory": "2Gi"}, {**SMALL, "nvidia.com/gpu": 1})
    resources({"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": 1}, {**SMALL, "nvidia.com/gpu": "1"})


def test_a_type_carries_what_a_pod_needs_to_be_placed():
    item = InstanceTypeItem.model_validate(
        {
            "apiVersion": "ferryml.dev/v1alpha1", "kind": "InstanceType", "status": {},
            "metadata": {"name": "a100", "labels": {"x": "y"}},
            "spec": {
                "nodeSelector": {"pool": "a100"}, "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "affinity": {"nodeAffinity": {}}, "runtimeClassName": "nvidia", "priorityClassName": "high",
                "resources": {"requests": SMALL, "limits": {"cpu": 1, "memory": "2Gi", "vendor.io/fpga": 2}},
            },
        }
    )  # fmt: skip
    manifest = item.spec.manifest()
    assert set(manifest) == {
        "nodeSelector", "tolerations", "affinity", "runtimeClassName", "priorityClassName", "resources",
    }  # fmt: skip
    assert manifest["resources"]["limits"]["vendor.io/fpga"] == "2"


def test_an_unknown_field_is_an_error():
    with pytest.raises(ValidationError):
        InstanceTypeSpec.model_validate({"resources": {"requests": SMALL, "limits": SMALL}, "nodeSelectors": {}})


def test_the_default_is_small():
    assert (BUILT_IN.requests, BUILT_IN.limits) == ({"cpu": "100m", "memory": "2Gi"}, {"cpu": "2", "memory": "2Gi"})
