"""Errors that name the place and the nearest name."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import Place, dotted, nearest, parse
from ferryml.domain.spec import (
    Automation,
    CommandJob,
    Compute,
    Data,
    KubernetesCompute,
    OnlineDeployment,
    OnlineEndpoint,
)

JOB = {"command": "x", "environment": "azureml:e:1"}


def refusal(kind, data, places=None):
    with pytest.raises(Refused) as refused:
        parse(kind, data, places)
    return refused.value


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (CommandJob, {**JOB, "comand": 1}, "unknown key 'comand'; did you mean 'command'?"),
        (
            CommandJob,
            {**JOB, "resources": {"instance_tpe": 1}},
            "'instance_tpe' in resources; did you mean 'instance_type'?",
        ),
        (CommandJob, {**JOB, "inputs": {"a": {"pth": 1}}}, "'pth' in inputs.a; did you mean 'path'?"),
        (CommandJob, {**JOB, "environment": {"imag": 1}}, "'imag' in environment; did you mean 'image'?"),
        (
            CommandJob,
            {**JOB, "distribution": {"type": "mpi", "worker_count": 1}},
            "'worker_count' in distribution; known",
        ),
        (
            CommandJob,
            {**JOB, "services": {"a": {"type": "ssh", "node": 1}}},
            "'node' in services.a; did you mean 'nodes'?",
        ),
        (
            OnlineDeployment,
            {"type": "kubernetes", "name": "blue", "scale_setting": {}},
            "unknown key 'scale_setting'; did you mean 'scale_settings'?",
        ),
        (
            Automation,
            {"name": "a", "triggers": [{"type": "data", "aset": "x"}]},
            "'aset' in triggers[0]; did you mean 'asset'?",
        ),
        (
            Automation,
            {"name": "a", "create_job": {"job": {**JOB, "compte": "x"}}},
            "'compte' in create_job.job; did you mean 'compute'?",
        ),
        (Compute, {"name": "c1", "type": "kubernetes", "namspace": "x"}, "did you mean 'namespace'?"),
    ],
)
def test_unknown_keys_name_the_nearest(kind, data, words):
    error = refusal(kind, data)
    assert error.code == "UnknownField"
    assert words in error.message


@pytest.mark.parametrize(
    ("kind", "data", "code", "words"),
    [
        (CommandJob, {"environment": "azureml:e:1"}, "MissingField", "'command' is missing"),
        (
            CommandJob,
            {**JOB, "resources": {"instance_count": "many"}},
            "BadValue",
            "resources.instance_count: should be",
        ),
        (CommandJob, {**JOB, "name": "a/b"}, "BadName", "at name"),
        (CommandJob, {**JOB, "environment": "nonsense"}, "BadReference", "at environment"),
        (CommandJob, {**JOB, "code": "azureml://datastores/d/paths/../x"}, "PathEscapes", "at code"),
        (OnlineEndpoint, {"name": "abc", "traffic": {"blue": 110}}, "TrafficInvalid", "adds up to 110"),
        (OnlineEndpoint, {"name": "abc", "auth_mode": "aad_token"}, "NotSupported", "use key or aml_token"),
        (OnlineEndpoint, {"name": "abc", "auth_mode": "password"}, "BadValue", "should be 'key', 'aml_token'"),
        (Compute, {"name": "c1", "type": "amlcompute"}, "BadValue", "one of: kubernetes, local"),
        (CommandJob, {**JOB, "inputs": [1]}, "BadValue", "inputs: should be a valid dictionary, not a list"),
        (CommandJob, ["x"], "BadYaml", "must be a mapping of keys, not a list"),
        (CommandJob, None, "BadYaml", "not null"),
    ],
)
def test_each_fault_has_its_code(kind, data, code, words):
    error = refusal(kind, data)
    assert (error.code, words in error.message) == (code, True), error.message


def test_faults_come_in_document_order_with_file_and_line():
    places = {
        (): Place("job.yml", 1, 1),
        ("nme",): Place("job.yml", 2, 1),
        ("resources",): Place("job.yml", 5, 1),
        ("resources", "instance_count"): Place("job.yml", 6, 3),
    }
    error = refusal(CommandJob, {**JOB, "nme": 1, "resources": {"instance_count": 0}}, places)
    first, second = error.details["errors"]
    assert error.code == "UnknownField"
    assert error.message.startswith("job.yml:2: unknown key 'nme'")
    assert "job.yml:6: resources.instance_count" in error.message
    assert first == {
        "code": "UnknownField",
        "message": "unknown key 'nme'; did you mean 'name'?",
        "path": "nme",
        "file": "job.yml",
        "line": 2,
    }
    assert second["line"] == 6


def test_a_place_without_a_line_is_a_flag():
    assert refusal(CommandJob, {**JOB, "x": 1}, {("x",): Place("--set x")}).message.startswith("--set x: unknown")


def test_many_faults_are_counted():
    error = refusal(CommandJob, {**JOB, **{f"zz{i}": i for i in range(9)}})
    assert "and 4 more" in error.message
    assert len(error.details["errors"]) == 9


def test_gives_spec_and_warnings():
    spec, warnings = parse(CommandJob, {**JOB, "resources": {"locations": ["x"]}})
    assert spec.command == "x"
    assert warnings == ("resources.locations has no effect here",)


def test_a_union_is_a_kind():
    assert parse(Compute, {"name": "c1", "type": "Kubernetes"}).spec == KubernetesCompute(name="c1")


def test_locate_makes_paths_absolute():
    spec = parse(CommandJob, {**JOB, "code": "./src"}, locate=lambda path: f"/abs/{path}").spec
    assert spec.code == "/abs/./src"
    assert parse(CommandJob, {**JOB, "code": "./src"}).spec.code == "./src"


def test_read_only_keys_fall_away():
    read_only = {"id": 1, "status": "x", "provisioning_state": "x", "creation_context": {}, "$schema": "x"}
    assert parse(CommandJob, {**JOB, **read_only}).spec == parse(CommandJob, JOB).spec


def test_dotted():
    assert dotted(("a", "b", 0, "c")) == "a.b[0].c"
    assert dotted(()) == ""


def test_nearest():
    assert nearest("Comand", ["command", "code"]) == "command"
    assert nearest("zzz", ["command"]) == ""


@pytest.mark.parametrize("key", ["~", "~Code", ""])
def test_an_unknown_key_may_look_like_anything(key):
    with pytest.raises(Refused) as caught:
        parse(Data, {"path": "x", key: 1})
    assert caught.value.code == "UnknownField"
    assert repr(key) in caught.value.message
