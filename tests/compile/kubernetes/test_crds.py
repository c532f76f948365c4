import pytest

from ferryml.compile.kubernetes.crds import definitions
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, JobOrder, RevisionOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.spec.instance_type import InstanceTypeSpec
from ferryml.domain.statuses import EndpointStatus, JobStatus

ALL = definitions()


def schema(name):
    return ALL[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


def parts(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def test_each_file_is_named_as_its_resource():
    assert set(ALL) == {
        "mljobs.ferryml.dev.yaml", "instancetypes.ferryml.dev.yaml", "instancetypes.amlarc.azureml.com.yaml",
        "onlineendpoints.ferryml.dev.yaml", "onlinedeployments.ferryml.dev.yaml",
    }  # fmt: skip
    assert all(name == f"{crd['metadata']['name']}.yaml" for name, crd in ALL.items())


@pytest.mark.parametrize("name", sorted(ALL))
def test_schemas_are_structural(name):
    """Each node has a type or is free; properties and additionalProperties never meet."""
    for node in parts(schema(name)):
        if isinstance(node, dict) and "properties" in node and isinstance(node["properties"], dict):
            assert node["type"] == "object"
            assert "additionalProperties" not in node
            for inner in node["properties"].values():
                assert any(key in inner for key in ("type", "x-kubernetes-preserve-unknown-fields",
                                                    "x-kubernetes-int-or-string"))  # fmt: skip
    assert not any(isinstance(node, dict) and "$ref" in node for node in parts(schema(name)))


def test_a_wish_has_a_place_for_each_of_its_fields():
    spec = schema("mljobs.ferryml.dev.yaml")["spec"]
    assert set(spec["properties"]) == set(Wish.model_fields)
    assert set(spec["properties"]["order"]["properties"]) == set(JobOrder.model_fields)
    assert "order" not in spec["required"]


def test_a_status_has_a_place_for_each_of_its_fields():
    status = schema("mljobs.ferryml.dev.yaml")["status"]["properties"]
    assert set(status) == set(StoredStatus.model_fields) - {"uid"} | {"phase", "reason"}
    assert set(status["status"]["properties"]) == set(JobStatus.model_fields)
    assert status["status"]["properties"]["kind"]["enum"] == ["Job", "Gone"]
    assert status["memory"]["x-kubernetes-preserve-unknown-fields"] is True


def test_an_endpoint_has_a_place_for_each_of_its_fields():
    both = schema("onlineendpoints.ferryml.dev.yaml")
    assert set(both["spec"]["properties"]) == set(Wish.model_fields)
    assert set(both["spec"]["properties"]["order"]["properties"]) == set(EndpointOrder.model_fields)
    revision = both["spec"]["properties"]["order"]["properties"]["revisions"]["items"]["properties"]
    assert set(revision) == set(RevisionOrder.model_fields)
    assert set(both["status"]["properties"]["status"]["properties"]) == set(EndpointStatus.model_fields)
    assert {"phase", "reason", "traffic"} <= set(both["status"]["properties"])


def test_both_groups_read_the_same_instance_types():
    ours, theirs = schema("instancetypes.ferryml.dev.yaml"), schema("instancetypes.amlarc.azureml.com.yaml")
    assert ours == theirs
    fields = {field.alias or name for name, field in InstanceTypeSpec.model_fields.items()}
    assert set(ours["spec"]["properties"]) == fields
    assert all(ALL[name]["spec"]["names"]["listKind"] == "InstanceTypeList" for name in ALL if "instance" in name)


def test_a_gpu_may_be_null_for_kubectl_too():
    limits = schema("instancetypes.ferryml.dev.yaml")["spec"]["properties"]["resources"]["properties"]["limits"]
    assert limits["properties"]["nvidia.com/gpu"]["nullable"] is True
    assert limits["x-kubernetes-preserve-unknown-fields"] is True


def test_definitions_outlive_the_chart():
    assert all(crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for crd in ALL.values())
