"""Environments inline, old and new."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import CommandJob, Environment


def read(**data):
    return parse(Environment, data)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ({}, "MissingField", "needs image, build"),
        ({"image": "a", "build": {"path": "b"}}, "BadValue", "not both"),
        ({"build": {"path": "b"}, "pip_requirements": "x"}, "BadValue", "brings its packages itself"),
        ({"image": "a", "os_type": "Windows"}, "NotSupported", "Ferry runs linux"),
        ({"image": ""}, "BadValue", "image"),
        ({"docker": {"image": "a", "build": {}}}, "BadValue", "old form"),
        ({"conda_file": {"dependencis": []}}, "UnknownField", "'dependencis'"),
        ({"conda_file": {"dependencies": "numpy"}}, "BadValue", "must be a list"),
        ({"conda_file": {"dependencies": [{"pip": "numpy"}]}}, "BadValue", "must be a list"),
        ({"conda_file": {"dependencies": [1]}}, "BadValue", "must be a list"),
        ({"image": "a", "inference_config": {"liveness_route": {"port": 1, "path": "/"}}}, "MissingField", "readiness"),
        ({"image": "a", "name": "bad name"}, "BadName", "asset name"),
    ],
)
def test_refuses(data, code, words):
    with pytest.raises(Refused) as refused:
        read(**data)
    assert (refused.value.code, words in refused.value.message) == (code, True), refused.value.message


def test_conda_inline_and_by_name():
    conda = {"name": "x", "channels": ["c"], "dependencies": ["python=3.11", {"pip": ["a"]}]}
    assert read(conda_file=conda).spec.conda_file == conda
    assert read(conda_file="file:./conda.yml").spec.conda_file == "./conda.yml"


def test_requirements_may_be_one_line():
    assert read(pip_requirements="scikit-learn").spec.pip_requirements == ("scikit-learn",)


def test_the_old_docker_form_warns():
    spec, warnings = read(docker={"image": "a"})
    assert spec.image == "a"
    assert "old form" in warnings[0]


def test_a_version_keeps_its_zeros():
    assert read(image="a", version="1.10").spec.version == "1.10"


def test_in_a_job_it_is_a_reference_or_inline():
    job = {"command": "x", "environment": "azureml:e@latest"}
    assert parse(CommandJob, job).spec.environment == "azureml:e@latest"
    assert parse(CommandJob, {**job, "environment": {"image": "a"}}).spec.environment == Environment(image="a")
