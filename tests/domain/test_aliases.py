"""Aliases of the workspace, and the shipped stand-ins for curated environments."""

import pytest

from ferryml.domain.aliases import is_curated, resolve_compute, resolve_environment, resolve_image
from ferryml.domain.curated import CURATED
from ferryml.domain.errors import Refused
from ferryml.domain.spec import Environment
from ferryml.domain.spec.workspace import Aliases

NONE = Aliases()


@pytest.mark.parametrize(
    ("reference", "package"),
    [
        ("azureml:AzureML-sklearn-1.5@latest", "scikit-learn~=1.5.0"),
        ("azureml:AzureML-sklearn-1.5:7", "scikit-learn~=1.5.0"),
        ("azureml://registries/azureml/environments/sklearn-1.5/labels/latest", "scikit-learn~=1.5.0"),
        ("azureml://registries/azureml/environments/sklearn-1.5/versions/33", "scikit-learn~=1.5.0"),
        ("azureml:AzureML-sklearn-1.1-ubuntu20.04-py38-cpu@latest", "scikit-learn~=1.2.0"),
        ("azureml:AzureML-sklearn-0.24-ubuntu18.04-py37-cpu@latest", "scikit-learn~=1.2.0"),
        ("azureml:AzureML-lightgbm-3.3@latest", "lightgbm>=3.3,<5"),
        ("azureml:AzureML-ACPT-pytorch-1.13-py38-cuda11.7-gpu@latest", "torch>=2.0,<2.5"),
        ("azureml:AzureML-acpt-pytorch-2.8-cuda12.6@latest", "torch>=2.2,<3"),
        ("azureml:AzureML-tensorflow-2.16-cuda12@latest", "tensorflow>=2.14,<3"),
        ("azureml:AzureML-minimal-ubuntu18.04-py37-cpu-inference@latest", "azureml-inference-server-http>=1.0"),
        ("azureml:AzureML-mlflow-ubuntu20.04-py38-cpu-inference:1", "mlflow>=2.10,<4"),
    ],
)
def test_curated_environments_have_stand_ins(reference, package):
    found = resolve_environment(reference, NONE)
    assert isinstance(found, Environment)
    assert package in found.pip_requirements
    assert found.image


def test_unknown_curated_environment_names_the_nearest():
    with pytest.raises(Refused, match=r"sklearn-1\.8") as refused:
        resolve_environment("azureml:AzureML-sklern@latest", NONE)
    assert refused.value.code == "NotFound"
    assert "aliases.environment" in refused.value.hint


def test_environments_of_the_workspace_come_first():
    reference = "azureml:AzureML-sklearn-1.5@latest"
    assert resolve_environment(reference, NONE, ["AzureML-sklearn-1.5"]) == reference


@pytest.mark.parametrize(
    "reference", ["azureml:mine:1", "azureml:sklearn-1.5@latest", "azureml://registries/r/environments/e/versions/1"]
)
def test_others_are_left_alone(reference):
    assert resolve_environment(reference, NONE) == reference
    assert not is_curated(reference)


@pytest.mark.parametrize(
    "pattern", ["azureml:AzureML-sklearn-1.5@latest", "AzureML-sklearn-1.5", "AzureML-sklearn-*", "azureml:AzureML-*"]
)
def test_aliases_come_before_stand_ins(pattern):
    aliases = Aliases.model_validate({"environment": {pattern: "azureml:ours:3"}})
    assert resolve_environment("azureml:AzureML-sklearn-1.5@latest", aliases) == "azureml:ours:3"


def test_an_alias_may_be_an_inline_environment_or_lead_on():
    aliases = Aliases.model_validate({"environment": {"a": "azureml:b:1", "b": {"image": "python"}}})
    assert resolve_environment("azureml:a:1", aliases) == Environment(image="python")


def test_circles_are_refused():
    aliases = Aliases.model_validate(
        {"environment": {"a": "azureml:b:1", "b": "azureml:a:1"}, "compute": {"a": "b", "b": "a"}}
    )
    with pytest.raises(Refused, match="circle"):
        resolve_environment("azureml:a:1", aliases)
    with pytest.raises(Refused, match="circle"):
        resolve_compute("a", aliases)


def test_computes():
    aliases = Aliases.model_validate({"compute": {"cpu-cluster": "azureml:onprem", "gpu*": "cloud"}})
    assert resolve_compute("cpu-cluster", aliases) == "onprem"
    assert resolve_compute("gpu-cluster", aliases) == "cloud"
    assert resolve_compute("other", aliases) == "other"


def test_images():
    aliases = Aliases.model_validate(
        {"image": {"docker.io/*": "mirror.example.org/hub/*", "python": "mirror.example.org/python:3.11"}}
    )
    assert resolve_image("docker.io/library/python:3.11", aliases) == "mirror.example.org/hub/library/python:3.11"
    assert resolve_image("python", aliases) == "mirror.example.org/python:3.11"
    assert resolve_image("other", aliases) == "other"


def test_every_stand_in_can_serve_and_track():
    for pattern, environment in CURATED.items():
        assert pattern == pattern.lower()
        if not pattern.startswith("triton"):
            assert any("inference-server" in line for line in environment.pip_requirements)
            assert any(line.startswith("mlflow") for line in environment.pip_requirements)
