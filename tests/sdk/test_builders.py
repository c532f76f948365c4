"""Specs from Python."""

import pytest

from ferryml import Environment, Input, Output, command
from ferryml.domain.errors import Refused
from ferryml.domain.spec import Model
from ferryml.sdk.builders import build, plain


@pytest.fixture
def here(alone):
    (alone / "src").mkdir()
    return alone


def test_a_command_is_the_job_of_the_same_yaml(here):
    job = command(
        "python t.py --rate ${{inputs.rate}} ${{inputs.data}}", code="./src", compute="azureml:onprem",
        environment=Environment(pip_requirements=["numpy"]),
        inputs={"rate": 0.1, "data": Input(type="uri_folder", path="azureml:d:1")},
        outputs={"model": Output(type="mlflow_model")}, limits={"timeout": 60},
    )  # fmt: skip
    assert job.code == str(here / "src")
    assert job.inputs["data"].path == "azureml:d:1"
    assert job.outputs["model"].type == "mlflow_model"
    assert job.limits.timeout == 60


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"comand": 1}, "UnknownField"),
        ({"code": "./absent"}, "FileNotFound"),
        ({"inputs": {"x": 1}, "resources": {"instance_count": 0}}, "BadValue"),
    ],
)
def test_faults_are_named_as_in_files(here, fields, code):
    with pytest.raises(Refused) as caught:
        command("true", environment="azureml:e:1", **fields)
    assert caught.value.code == code
    with pytest.raises(Refused) as caught:
        command("${{inputs.x}}", environment="azureml:e:1")
    assert caught.value.code == "UnresolvedExpression"


def test_paths_and_specs_become_what_yaml_holds(here):
    model = build(Model, {"name": "m", "path": here / "src", "description": None})
    assert model.path == str(here / "src")
    assert plain([model, (1, here)]) == [{"name": "m", "path": str(here / "src")}, [1, str(here)]]
