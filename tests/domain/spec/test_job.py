"""The command job and its old forms."""

import json

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import CommandJob
from ferryml.domain.spec.job import Mpi, PyTorch, Ray, Resources, TensorFlow


def read(**more):
    return parse(CommandJob, {"command": "x", "environment": "azureml:e:1", **more})


def test_defaults():
    job = read().spec
    assert (job.type, job.name, job.compute, job.code) == ("command", None, None, None)
    assert job.resources == Resources(instance_count=1, shm_size="2g")
    assert job.limits.timeout is None
    assert job.queue_settings.priority == "medium"


def test_numbers_in_environment_variables_are_text():
    assert read(environment_variables={"A": 1, "B": 0.5, "C": True}).spec.environment_variables == {
        "A": "1",
        "B": "0.5",
        "C": "True",
    }


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "PyTorch", "process_count_per_instance": "2"}, PyTorch(process_count_per_instance=2)),
        ({"type": "mpi"}, Mpi()),
        ({"type": "tensorflow", "worker_count": 1}, TensorFlow(worker_count=1)),
        ({"type": "ray", "port": 1}, Ray(port=1)),
    ],
)
def test_distributions(given, kind):
    assert read(distribution=given).spec.distribution == kind


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"command": "  "}, "MissingField", "command is empty"),
        ({"command": ""}, "BadValue", "command"),
        ({"distribution": {"type": "horovod"}}, "BadValue", "one of: mpi, pytorch, ray, tensorflow"),
        ({"distribution": {"type": "tensorflow", "worker_count": 2}}, "BadValue", "worker_count"),
        ({"resources": {"instance_count": 0}}, "BadValue", "greater than or equal to 1"),
        ({"resources": {"shm_size": "2 GB"}}, "BadValue", "shm_size"),
        ({"limits": {"timeout": 0}}, "BadValue", "timeout"),
        ({"limits": {"timeout": "31d"}}, "BadValue", "timeout"),
        ({"compute": {"target": "x", "size": 1}}, "UnknownField", "'size' in compute"),
        ({"environment_variables": {"A B": 1}}, "BadName", "environment variable"),
        ({"type": "sweep"}, "BadValue", "type: should be 'command'"),
    ],
)
def test_refuses(more, code, words):
    with pytest.raises(Refused) as refused:
        read(**more)
    assert (refused.value.code, words in refused.value.message) == (code, True), refused.value.message


def test_old_forms_are_read_with_a_warning():
    job, warnings = read(
        compute={"target": "azureml:c", "instance_type": "gpu", "instance_count": 2},
        resources={"instance_count": 3},
        code={"local_path": "./src"},
    )
    assert (job.compute, job.code) == ("c", "./src")
    assert (job.resources.instance_type, job.resources.instance_count) == ("gpu", 3)
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"resources": {"docker_args": "--privileged"}}, "docker_args"),
        ({"resources": {"locations": ["x"]}}, "locations"),
        ({"queue_settings": {"job_tier": "Spot"}}, "job_tier"),
        ({"identity": {"type": "user_identity"}}, "user_identity"),
        ({"services": {"door": {"type": "ssh"}}}, "services"),
    ],
)
def test_what_has_no_effect_warns(more, word):
    assert word in read(**more).warnings[0]


def test_null_job_tier_is_silent():
    assert read(queue_settings={"job_tier": "null"}).warnings == ()


def test_timeout_may_be_a_duration():
    assert read(limits={"timeout": "2h"}).spec.limits.timeout == 7200


def test_empty_blocks_are_defaults():
    blocks = dict.fromkeys(("inputs", "outputs", "resources", "limits", "services", "tags", "environment_variables"))
    assert read(**blocks).spec == read().spec


def test_survives_json():
    job = read(inputs={"a": 1, "b": "azureml:d:1", "c": None}, outputs={"o": None}, limits={"timeout": "2m"}).spec
    assert parse(CommandJob, json.loads(job.model_dump_json())).spec == job
