"""Runs of an automation as scripts: each turn sees something, and the run moves or does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.automation import (
    ENDED,
    JobSeen,
    MetricSeen,
    Register,
    RolloutSeen,
    Run,
    RunSeen,
    StartJob,
    StartRollout,
    decide,
    metric_fires,
)
from ferryml.domain.spec.automation import Automation, MetricTrigger

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DONE = JobSeen(phase="Completed", outputs=("model",))
BETTER = JobSeen(phase="Completed", metrics={"candidate_accuracy": 0.95, "champion_accuracy": 0.9})
WORSE = JobSeen(phase="Completed", metrics={"candidate_accuracy": 0.85, "champion_accuracy": 0.9})


def a_loop(**changes: object) -> Automation:
    base: dict[str, object] = {
        "name": "loop",
        "triggers": [{"type": "data", "asset": "azureml:digits"}],
        "create_job": {"job": "azureml:train"},
        "candidate": {"output": "model", "name": "digits-model"},
        "evaluate": {"job": "azureml:evaluate"},
        "gate": {"primary_metric": "accuracy", "min_improvement": 0.005},
        "rollout": {"deployment": {"name": "blue"}, "endpoints": ["one", "two"]},
    }
    return Automation.model_validate(base | changes)


class Play:
    def __init__(self, spec: Automation, **run: object) -> None:
        self.spec = spec
        self.run = Run.model_validate({"automation": "loop", "run": "1", "trigger": {"kind": "data"}} | run)
        self.now = T0

    def sees(self, state: str, *effects: object, **seen: object) -> Play:
        self.now += timedelta(seconds=1)
        defaults = {"champion": "digits-model:1"}
        self.run, done = decide(self.spec, self.run, RunSeen(**(defaults | seen)), self.now)
        assert (self.run.state, done) == (state, effects), self.run.history[-1:]
        return self


TRAIN, EVALUATE = StartJob("train", "loop-1-train"), StartJob("evaluate", "loop-1-evaluate")
OUT = "azureml://jobs/loop-1-train/outputs/model"
ROLL = StartRollout("loop-1")


def rolling(spec: Automation | None = None) -> Play:
    play = Play(spec or a_loop()).sees("training", TRAIN).sees("evaluating", EVALUATE, train=DONE)
    play.sees("gated", Register(OUT), evaluate=BETTER).sees("registered", registered="digits-model:2")
    assert play.run.model == "digits-model:2"
    return play


def test_a_better_model_is_promoted():
    play = rolling().sees("rolling_out", ROLL).sees("rolling_out", rollout=RolloutSeen("running"))
    play.sees("promoted", rollout=RolloutSeen("promoted", "serves on one, two"))
    states = [t.state for t in play.run.history]
    assert states == ["training", "evaluating", "gated", "registered", "rolling_out", "promoted"]
    assert play.run.history[2].evidence["candidate"] == 0.95


def test_a_worse_model_is_rejected_with_the_numbers():
    play = (
        Play(a_loop()).sees("training", TRAIN).sees("evaluating", EVALUATE, train=DONE).sees("rejected", evaluate=WORSE)
    )
    assert play.run.history[-1].evidence == {
        "metric": "accuracy", "candidate": 0.85, "champion": 0.9, "improvement": pytest.approx(-0.05),
        "needed": 0.005, "code": "GateRejected",
    }  # fmt: skip


@pytest.mark.parametrize("phase", ["Failed", "Canceled"])
def test_failed_jobs_end_the_run_and_touch_nothing(phase: str):
    Play(a_loop()).sees("training", TRAIN).sees("failed", train=JobSeen(phase))
    Play(a_loop()).sees("training", TRAIN).sees("evaluating", EVALUATE, train=DONE).sees(
        "failed", evaluate=JobSeen(phase)
    )


def test_a_training_job_without_the_output_fails():
    Play(a_loop()).sees("training", TRAIN).sees("failed", train=JobSeen("Completed", outputs=("other",)))


def test_a_lost_effect_is_done_again():
    Play(a_loop()).sees("training", TRAIN).sees("training", TRAIN)
    rolling().sees("rolling_out", ROLL).sees("rolling_out", ROLL)


def test_a_model_trigger_trains_nothing():
    play = Play(a_loop(), trigger={"kind": "model", "model": "digits-model:7"}).sees("evaluating", EVALUATE)
    assert play.run.candidate == "azureml:digits-model:7"


@pytest.mark.parametrize(("answer", "state"), [("approved", "gated"), ("rejected", "rejected")])
def test_a_person_may_have_the_last_word(answer: str, state: str):
    play = Play(a_loop(approval="required")).sees("training", TRAIN).sees("evaluating", EVALUATE, train=DONE)
    play.sees("awaiting_approval", evaluate=BETTER).sees("awaiting_approval", evaluate=BETTER)
    effects = (Register(OUT),) if answer == "approved" else ()
    play.sees(state, *effects, approval=answer, approver="ada")


def test_a_rollout_that_was_undone_ends_the_run_with_its_reason():
    play = rolling().sees("rolling_out", ROLL)
    play.sees("rolled_back", rollout=RolloutSeen("rolled_back", "two: p99 too high", {"two": 1}))
    assert play.run.history[-1].reason == "two: p99 too high"
    assert play.run.history[-1].evidence == {"two": 1}


def test_metric_triggers_need_enough_labels_and_a_number():
    trigger = MetricTrigger(endpoint="one", below=0.9, min_labels=200)
    assert metric_fires(trigger, MetricSeen(0.8, 200))
    assert not metric_fires(trigger, MetricSeen(0.8, 199))
    assert not metric_fires(trigger, MetricSeen(0.95, 500))
    assert not metric_fires(trigger, MetricSeen(float("nan"), 500))
    assert not metric_fires(trigger, None)


jobs = st.sampled_from([JobSeen(), JobSeen("Running"), DONE, BETTER, WORSE, JobSeen("Failed")])
rolls = st.sampled_from(["", "running", "holding", "promoted", "rolled_back", "failed"]).map(RolloutSeen)
worlds = st.builds(
    RunSeen, train=jobs, evaluate=jobs, champion=st.sampled_from(["", "m:1"]), registered=st.sampled_from(["", "m:2"]),
    approval=st.sampled_from(["", "approved", "rejected"]), rollout=rolls,
)  # fmt: skip


@given(st.lists(worlds, max_size=25), st.sampled_from(["none", "required"]))
def test_nothing_rolls_out_that_was_not_proved(script: list[RunSeen], approval: str):
    spec, run, ended = a_loop(approval=approval), Run(automation="loop", run="1"), ""
    for seen in script:
        before = run
        run, effects = decide(spec, run, seen, T0)
        again, same = decide(spec, before, seen, T0)
        assert (again, same) == (run, effects)
        assert Run.model_validate_json(run.model_dump_json()) == run
        if ended:
            assert run.state == ended
            assert effects == ()
        states = [t.state for t in run.history]
        if any(isinstance(e, StartRollout) for e in effects):
            assert "gated" in states
            assert "registered" in states
            assert approval == "none" or "awaiting_approval" in states
        ended = run.state if run.state in ENDED else ""
