"""Decides one turn of an automation's run: train, prove, register, roll out, or leave things as they are.

Effects carry names derived from the run, so that doing one twice is doing it once; the loop applies them,
then writes the new state, and may die between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from ferryml.domain.gate import judge
from ferryml.domain.orders import Json, Wire
from ferryml.domain.spec.automation import Automation

State = Literal[
    "triggered", "training", "evaluating", "gated", "awaiting_approval", "registered", "rolling_out",
    "promoted", "rejected", "rolled_back", "failed",
]  # fmt: skip
ENDED: frozenset[str] = frozenset({"promoted", "rejected", "rolled_back", "failed"})
ACTIVE = tuple(state for state in get_args(State) if state not in ENDED)


class Transition(Wire):
    """One move of a run, with why and the figures that decided it."""

    at: datetime
    state: State
    reason: str
    evidence: dict[str, Json] = {}


class Run(Wire):
    """One run of an automation; everything the next turn needs."""

    automation: str
    run: str
    state: State = "triggered"
    trigger: dict[str, Json] = {}
    """kind, at, and what fired: data (azureml:N:V), model, metric, value, by."""
    candidate: str = ""
    """Reference of the candidate: `azureml:N:V` or `azureml://jobs/J/outputs/O`."""
    champion: str = ""
    """Model that served when the run began to evaluate; empty = none."""
    model: str = ""
    """`NAME:VERSION` once registered."""
    history: tuple[Transition, ...] = ()

    def job(self, step: Literal["train", "evaluate"]) -> str:
        """The one job of that step in this run."""
        return f"{self.automation}-{self.run}-{step}"

    @property
    def rollout(self) -> str:
        """The one rollout of this run."""
        return f"{self.automation}-{self.run}"


@dataclass(frozen=True, slots=True)
class JobSeen:
    """What became of a job: its `phase`, empty when it does not exist yet."""

    phase: str = ""
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolloutSeen:
    """What became of the rollout over all endpoints; empty state when it does not exist yet."""

    state: Literal["", "running", "holding", "promoted", "rolled_back", "failed"] = ""
    reason: str = ""
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSeen:
    """Everything outside the run that this turn may depend on."""

    train: JobSeen = JobSeen()
    evaluate: JobSeen = JobSeen()
    champion: str = ""
    registered: str = ""
    """`NAME:VERSION` of the candidate once it is an asset."""
    approval: Literal["", "approved", "rejected"] = ""
    approver: str = ""
    rollout: RolloutSeen = RolloutSeen()


@dataclass(frozen=True, slots=True)
class StartJob:
    step: Literal["train", "evaluate"]
    name: str


@dataclass(frozen=True, slots=True)
class Register:
    candidate: str


@dataclass(frozen=True, slots=True)
class StartRollout:
    name: str


Effect = StartJob | Register | StartRollout


def decide(spec: Automation, run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    """One turn: at most one transition, and the effects that the present state needs. Pure; ended runs stay ended."""
    match run.state:
        case "triggered":
            return _triggered(spec, run, seen, now)
        case "training":
            return _training(spec, run, seen, now)
        case "evaluating":
            return _evaluating(spec, run, seen, now)
        case "awaiting_approval":
            return _awaiting(run, seen, now)
        case "gated":
            return _gated(run, seen, now)
        case "registered":
            return _registered(spec, run, now)
        case "rolling_out":
            return _rolling_out(run, seen, now)
        case _:
            return run, ()


def _move(
    run: Run, now: datetime, state: State, reason: str, evidence: Mapping[str, Json] | None = None, **changes: Json
) -> Run:
    entry = Transition(at=now, state=state, reason=reason, evidence=dict(evidence or {}))
    return run.model_copy(update={"state": state, "history": (*run.history, entry), **changes})


def _triggered(spec: Automation, run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    model = str(run.trigger.get("model") or "")
    if model:
        return _prove(
            spec, run.model_copy(update={"candidate": f"azureml:{model}"}), seen, now, "a model came from elsewhere"
        )
    if spec.create_job is None:
        return _move(run, now, "failed", "there is nothing to train and no model came with the trigger"), ()
    name = run.job("train")
    return _move(run, now, "training", f"job {name} trains a candidate"), (StartJob("train", name),)


def _training(spec: Automation, run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    name = run.job("train")
    match seen.train.phase:
        case "":
            return run, (StartJob("train", name),)
        case "Completed":
            output = spec.candidate.output if spec.candidate else "model"
            if output not in seen.train.outputs:
                return _move(run, now, "failed", f"job {name} wrote nothing to its output {output!r}"), ()
            candidate = f"azureml://jobs/{name}/outputs/{output}"
            return _prove(spec, run.model_copy(update={"candidate": candidate}), seen, now, f"job {name} completed")
        case "Failed" | "Canceled" as phase:
            return _move(run, now, "failed", f"job {name} is {phase}: {seen.train.reason}"), ()
        case _:
            return run, ()


def _prove(spec: Automation, run: Run, seen: RunSeen, now: datetime, why: str) -> tuple[Run, tuple[Effect, ...]]:
    run = run.model_copy(update={"champion": seen.champion})
    if spec.evaluate is None:
        return _gate(spec, run, seen.train.metrics, now)
    name = run.job("evaluate")
    return _move(run, now, "evaluating", f"{why}; job {name} measures it"), (StartJob("evaluate", name),)


def _evaluating(spec: Automation, run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    name = run.job("evaluate")
    match seen.evaluate.phase:
        case "":
            return run, (StartJob("evaluate", name),)
        case "Completed":
            return _gate(spec, run, seen.evaluate.metrics, now)
        case "Failed" | "Canceled" as phase:
            return _move(run, now, "failed", f"job {name} is {phase}: {seen.evaluate.reason}"), ()
        case _:
            return run, ()


def _gate(spec: Automation, run: Run, metrics: Mapping[str, float], now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    verdict = judge(spec.gate, metrics, has_champion=bool(run.champion))
    if not verdict.passed:
        evidence = {**dict(verdict.figures or {}), "code": verdict.code}
        return _move(run, now, "rejected", verdict.reason, evidence), ()
    if spec.approval == "required":
        return _move(run, now, "awaiting_approval", f"{verdict.reason}; a person must agree", verdict.figures), ()
    return _move(run, now, "gated", verdict.reason, verdict.figures), (Register(run.candidate),)


def _awaiting(run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    match seen.approval:
        case "approved":
            return _move(run, now, "gated", f"approved by {seen.approver}"), (Register(run.candidate),)
        case "rejected":
            return _move(run, now, "rejected", f"refused by {seen.approver}"), ()
        case _:
            return run, ()


def _gated(run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    if not seen.registered:
        return run, (Register(run.candidate),)
    return _move(run, now, "registered", f"the candidate is model {seen.registered}", model=seen.registered), ()


def _registered(spec: Automation, run: Run, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    if spec.rollout is None:
        return _move(run, now, "promoted", "registered; no rollout is asked for"), ()
    words = f"rollout {run.rollout} to {', '.join(spec.rollout.endpoint_names)}, {spec.rollout.order}"
    return _move(run, now, "rolling_out", words), (StartRollout(run.rollout),)


def _rolling_out(run: Run, seen: RunSeen, now: datetime) -> tuple[Run, tuple[Effect, ...]]:
    rollout = seen.rollout
    match rollout.state:
        case "":
            return run, (StartRollout(run.rollout),)
        case "promoted" | "rolled_back" | "failed" as state:
            return _move(run, now, state, rollout.reason, rollout.evidence), ()
        case _:
            return run, ()


# ---- triggers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetricSeen:
    """A live metric of an endpoint and how many labels it stands on."""

    value: float
    labels: int


def metric_fires(trigger: object, seen: MetricSeen | None) -> bool:
    """Whether a `MetricTrigger` fires now: enough labels, and beyond the line."""
    below, above = getattr(trigger, "below", None), getattr(trigger, "above", None)
    if seen is None or seen.labels < getattr(trigger, "min_labels", 1) or seen.value != seen.value:
        return False
    return (below is not None and seen.value < below) or (above is not None and seen.value > above)
