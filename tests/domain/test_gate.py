"""Each odd case of the gate has a defined outcome."""

from __future__ import annotations

import math

import pytest

from ferryml.domain.gate import judge
from ferryml.domain.spec.automation import Gate

GATE = Gate(primary_metric="accuracy", min_improvement=0.005)
NAN = math.nan


@pytest.mark.parametrize(
    ("gate", "metrics", "has_champion", "passed", "code"),
    [
        (GATE, {"candidate_accuracy": 0.95, "champion_accuracy": 0.90}, True, True, None),
        (GATE, {"candidate_accuracy": 0.904, "champion_accuracy": 0.90}, True, False, "GateRejected"),
        (GATE, {"candidate_accuracy": 0.80, "champion_accuracy": 0.90}, True, False, "GateRejected"),
        (GATE, {"champion_accuracy": 0.90}, True, False, "MetricMissing"),
        (GATE, {"candidate_accuracy": NAN, "champion_accuracy": 0.9}, True, False, "MetricMissing"),
        (GATE, {"candidate_accuracy": math.inf, "champion_accuracy": 0.9}, True, False, "MetricMissing"),
        (GATE, {"candidate_accuracy": 0.99}, True, False, "MetricMissing"),
        (GATE, {"candidate_accuracy": 0.99, "champion_accuracy": NAN}, True, False, "MetricMissing"),
        (GATE, {"candidate_accuracy": 0.5}, False, True, None),
        (GATE, {"accuracy": 0.5}, False, True, None),
        (GATE, {}, False, False, "MetricMissing"),
        (GATE.model_copy(update={"no_champion": "reject"}), {"accuracy": 0.9}, False, False, "NoChampion"),
        (GATE.model_copy(update={"min_value": 0.9}), {"accuracy": 0.8}, False, False, "GateRejected"),
        (None, {}, True, True, None),
    ],
)
def test_outcomes(gate, metrics, has_champion, passed, code):
    verdict = judge(gate, metrics, has_champion=has_champion)
    assert (verdict.passed, verdict.code) == (passed, code), verdict.reason


def test_equal_is_not_better_even_without_a_margin():
    gate = Gate(primary_metric="accuracy")
    assert not judge(gate, {"candidate_accuracy": 0.9, "champion_accuracy": 0.9}, has_champion=True).passed


def test_minimize_turns_it_round():
    gate = Gate(primary_metric="rmse", goal="minimize", min_improvement=0.1, min_value=2.0)
    assert judge(gate, {"candidate_rmse": 1.0, "champion_rmse": 1.5}, has_champion=True).passed
    assert not judge(gate, {"candidate_rmse": 1.5, "champion_rmse": 1.0}, has_champion=True).passed
    assert not judge(gate, {"candidate_rmse": 2.5, "champion_rmse": 9.0}, has_champion=True).passed


def test_evidence_is_json():
    verdict = judge(GATE, {"candidate_accuracy": NAN, "champion_accuracy": 0.9}, has_champion=True)
    assert verdict.figures == {"metric": "accuracy", "candidate": "nan", "champion": 0.9}
