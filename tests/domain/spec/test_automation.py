"""Automations: triggers, candidates, gates."""

import json

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import Automation

JOB = {"command": "x", "environment": "azureml:e:1", "outputs": {"model": {"type": "mlflow_model"}}}
LOOP = {"name": "loop", "create_job": {"job": JOB}, "candidate": {"name": "digits-model"}}


def read(**more):
    return parse(Automation, {**LOOP, **more}).spec


@pytest.mark.parametrize(
    "expression",
    ["0 3 * * *", "*/15 * * * *", "0 0 1-5,10 jan-mar MON", "59 23 31 12 7", "0 */2 * * 1-5/2"],
)
def test_good_cron(expression):
    assert read(triggers=[{"type": "cron", "expression": expression}]).triggers[0].time_zone == "UTC"


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "*/0 * * * *",
        "@daily",
    ],
)
def test_bad_cron(expression):
    with pytest.raises(Refused, match="cron expression"):
        read(triggers=[{"type": "cron", "expression": expression}])


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        ({"type": "metric", "endpoint": "digits"}, "either below or above"),
        ({"type": "metric", "endpoint": "digits", "below": 1, "above": 2}, "either below or above"),
        ({"type": "data", "asset": "digits"}, "names no asset"),
        ({"asset": "azureml:digits"}, "one of: cron, data, manual, metric, model, monitor"),
        ("cron", "one of: cron"),
    ],
)
def test_bad_triggers(trigger, words):
    with pytest.raises(Refused, match=words):
        read(triggers=[trigger])


def test_a_model_trigger_needs_no_training():
    made = parse(Automation, {"name": "a", "triggers": {"type": "model", "asset": "azureml:m"}}).spec
    assert made.create_job is None
    with pytest.raises(Refused, match="needs create_job"):
        parse(Automation, {"name": "a", "triggers": [{"type": "manual"}]})


def test_the_candidate_is_an_output_of_the_job():
    with pytest.raises(Refused, match="no output of the job; it has: model"):
        read(candidate={"name": "m", "output": "modell"})
    with pytest.raises(Refused, match="candidate is missing"):
        read(candidate=None)


@pytest.mark.parametrize(
    ("said", "means"), [(None, "none"), (False, "none"), (True, "required"), ("Required", "required")]
)
def test_approval(said, means):
    assert read(approval=said).approval == means


def test_gate_and_notify():
    made = read(
        gate={"primary_metric": "accuracy", "goal": "Minimize"},
        notify={"webhook": "w", "on": "rejected"},
        evaluate={"job": "azureml:evaluate-digits", "inputs": {"test": "azureml:digits-test@latest", "n": 3}},
    )
    assert (made.gate.goal, made.gate.no_champion, made.gate.min_improvement) == ("minimize", "accept", 0)
    assert made.notify[0].on == ("rejected",)
    assert made.evaluate.inputs["test"].path == "azureml:digits-test@latest"


def test_survives_json():
    made = read(triggers=[{"type": "data", "asset": "azureml:digits", "debounce": "15m"}])
    assert parse(Automation, json.loads(made.model_dump_json())).spec == made
