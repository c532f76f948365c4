"""Rollouts: rising steps, named endpoints."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.domain.parse import parse
from ferryml.domain.spec import Rollout

DEPLOYMENT = {"type": "kubernetes", "name": "blue", "model": "azureml:m:1"}


def read(**more):
    return parse(Rollout, {"deployment": DEPLOYMENT, "endpoint": "digits", **more})


def test_defaults_and_units():
    plan = read(per_step={"min_duration": "2m", "timeout": "1h"}, keep_previous="24h", mirror={"timeout": "5m"}).spec
    assert plan.endpoint_names == ("digits",)
    assert (plan.per_step.min_duration, plan.per_step.timeout, plan.keep_previous) == (120, 3600, 86400)
    assert (plan.mirror.percent, plan.mirror.timeout) == (20, 300)
    assert (plan.steps, plan.order, plan.on_failure, plan.on_offline) == ((100,), "sequential", "rollback_all", "wait")


@pytest.mark.parametrize("steps", [[], [50], [50, 50, 100], [100, 50], [0, 100], [10, 101]])
def test_steps_rise_to_a_hundred(steps):
    with pytest.raises(Refused, match="steps"):
        read(steps=steps)


@pytest.mark.parametrize("steps", [100, "100", [10, 50, 100]])
def test_good_steps(steps):
    assert read(steps=steps).spec.steps[-1] == 100


def test_the_deployment_may_name_the_endpoint():
    made = parse(Rollout, {"deployment": {**DEPLOYMENT, "endpoint_name": "digits"}}).spec
    assert made.endpoint_names == ("digits",)
    with pytest.raises(Refused, match="endpoints is missing"):
        parse(Rollout, {"deployment": DEPLOYMENT})


def test_refuses_double_endpoints_and_references():
    with pytest.raises(Refused, match="twice"):
        read(endpoint=["digits", "digits"])
    with pytest.raises(Refused, match="cannot be referred to"):
        read(deployment="azureml:x:1")
