"""Deployments: what they need, how they scale."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import Model, OnlineDeployment
from ferryml.domain.spec.deployment import DefaultScale, Probe, RequestSettings, TargetUtilization, check_complete


def read(**more):
    return parse(OnlineDeployment, {"type": "kubernetes", "name": "blue", "model": "azureml:m:1", **more})


def test_defaults():
    made = read().spec
    assert made.request_settings == RequestSettings(
        request_timeout_ms=5000, max_concurrent_requests_per_instance=1, max_queue_wait_ms=500
    )
    assert made.liveness_probe == made.readiness_probe == Probe()
    assert (made.instance_count, made.instance_type, made.scale_settings) == (1, None, None)


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        ({"type": "default"}, DefaultScale()),
        ({"type": "TargetUtilization", "max_instances": "3"}, TargetUtilization(max_instances=3)),
        ({"min_instances": 2, "max_instances": 4}, TargetUtilization(min_instances=2, max_instances=4)),
    ],
)
def test_scaling(given, scale):
    assert read(scale_settings=given).spec.scale_settings == scale


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"scale_settings": {"min_instances": 5}}, "BadArgument", "more than max_instances"),
        ({"scale_settings": {"min_instances": 0}}, "BadValue", "min_instances"),
        ({"resources": {"requests": {"cpu": "1"}}}, "BadArgument", "lacks memory"),
        ({"request_settings": {"request_timeout_ms": 300001}}, "BadValue", "300000"),
        ({"liveness_probe": {"period": 0}}, "BadValue", "liveness_probe.period"),
        ({"instance_count": 0}, "BadValue", "instance_count"),
        ({"code_configuration": {"code": "x", "scoring_script": "../x.py"}}, "PathEscapes", "inside the code folder"),
        ({"code_configuration": {"code": "x", "scoring_script": "/x.py"}}, "PathEscapes", "inside the code folder"),
        ({"model_mount_path": "mnt"}, "BadValue", "absolute"),
        ({"model_mount_path": "/mnt/../etc"}, "BadValue", "absolute"),
        ({"endpoint_name": "abc", "name": "ab"}, "BadName", "deployment name"),
        ({"data_collector": {"sampling_rate": 2}}, "BadValue", "sampling_rate"),
        ({"type": "aks"}, "BadValue", "type"),
    ],
)
def test_refuses(more, code, words):
    with pytest.raises(Refused) as refused:
        read(**more)
    assert (refused.value.code, words in refused.value.message) == (code, True), refused.value.message


@pytest.mark.parametrize("said", [None, "managed", "Managed"])
def test_another_type_is_kubernetes_with_a_warning(said):
    data = {"name": "blue", "model": "azureml:m:1"} | ({"type": said} if said else {})
    made, warnings = parse(OnlineDeployment, data)
    assert made.type == "kubernetes"
    assert "type" in warnings[0]


def test_a_path_is_a_model():
    assert read(model="./model").spec.model == Model(path="./model")
    assert read(model="azureml://jobs/j/outputs/o").spec.model == Model(path="azureml://jobs/j/outputs/o")
    assert read(model="azureml://registries/r/models/m/versions/1").spec.model.endswith("versions/1")


def test_quantities_are_text_and_gpu_may_be_a_number():
    made = read(resources={"requests": {"cpu": 0.1, "memory": "0.2Gi", "nvidia.com/gpu": 1}}).spec
    assert made.resources.requests == {"cpu": "0.1", "memory": "0.2Gi", "nvidia.com/gpu": "1"}


def test_collections_say_enabled_in_words():
    made = read(data_collector={"collections": {"a": {"enabled": "True"}, "b": None}, "rolling_rate": "Hour"}).spec
    assert made.data_collector.collections["a"].enabled
    assert not made.data_collector.collections["b"].enabled


def test_old_form_of_code():
    code = {"code": {"local_path": "./src"}, "scoring_script": "score.py"}
    assert read(code_configuration=code).spec.code_configuration.code == "./src"


def test_complete_or_not():
    check_complete(read().spec)
    check_complete(read(model=None, environment={"image": "x"}).spec)
    script = {"code": "x", "scoring_script": "score.py"}
    check_complete(read(model={"path": "x", "type": "mlflow_model"}, code_configuration=script).spec)
    with pytest.raises(Refused, match="no model and no environment"):
        check_complete(read(model=None).spec)
    with pytest.raises(Refused, match="needs an environment"):
        check_complete(read(model={"path": "x"}, code_configuration=script).spec)
