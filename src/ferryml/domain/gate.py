"""Decides whether a candidate has proved better than the champion, for every odd case too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ferryml.domain.error_catalogue import Code
from ferryml.domain.orders import Json
from ferryml.domain.spec.automation import Gate

CANDIDATE = "candidate_"
CHAMPION = "champion_"
"""The evaluation job logs `candidate_METRIC` and `champion_METRIC`, both from the same pinned data."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`figures` is the evidence; `code` is set when the answer is no."""

    passed: bool
    reason: str
    code: Code | None = None
    figures: Mapping[str, Json] | None = None


def judge(gate: Gate | None, metrics: Mapping[str, float], *, has_champion: bool) -> Verdict:
    """The verdict on one evaluation.

    Args:
        gate: None lets every candidate pass.
        metrics: what the evaluation job logged, last value of each; a missing or non-finite one never wins.
        has_champion: whether a model serves now.
    """
    if gate is None:
        return Verdict(True, "no gate is set", figures=dict(metrics))
    new = metrics.get(CANDIDATE + gate.primary_metric, metrics.get(gate.primary_metric))
    old = metrics.get(CHAMPION + gate.primary_metric)
    figures: dict[str, Json] = {"metric": gate.primary_metric, "candidate": _json(new), "champion": _json(old)}
    if new is None or not math.isfinite(new):
        return _no("MetricMissing", f"the evaluation logged no usable {CANDIDATE}{gate.primary_metric}: {new}", figures)
    if gate.min_value is not None and not _at_least(gate, new, gate.min_value):
        reason = f"{gate.primary_metric} {new:g} does not reach min_value {gate.min_value:g}"
        return _no("GateRejected", reason, figures)
    if not has_champion:
        if gate.no_champion == "reject":
            return _no("NoChampion", "nothing serves yet and no_champion is reject", figures)
        return Verdict(True, f"nothing serves yet; {gate.primary_metric} is {new:g}", figures=figures)
    if old is None or not math.isfinite(old):
        return _no("MetricMissing", f"the evaluation logged no usable {CHAMPION}{gate.primary_metric}: {old}", figures)
    gain = new - old if gate.goal == "maximize" else old - new
    figures |= {"improvement": gain, "needed": gate.min_improvement}
    words = f"{gate.primary_metric}: candidate {new:.4f}, champion {old:.4f}, improvement {gain:+.4f}"
    if gain < gate.min_improvement or (gain == 0 and gate.min_improvement == 0):
        return _no("GateRejected", f"{words}, needed {gate.min_improvement:g}", figures)
    return Verdict(True, words, figures=figures)


def _no(code: Code, reason: str, figures: Mapping[str, Json]) -> Verdict:
    return Verdict(False, reason, code, figures)


def _at_least(gate: Gate, value: float, bar: float) -> bool:
    return value >= bar if gate.goal == "maximize" else value <= bar


def _json(value: float | None) -> Json:
    return value if value is None or math.isfinite(value) else str(value)
