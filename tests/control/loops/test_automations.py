"""The loop over automations: every state, every end, and a kill between doing and writing in each."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import automations
from ferryml.control.context import changed
from ferryml.control.loops import automations as loop_module
from ferryml.control.loops.automations import tick
from ferryml.domain.automation import Run
from loop_play import LoopPlay, Point, a_loop, never_written, rollout, rolls


@pytest.fixture
def site(play):
    play.site()
    return play


@pytest.fixture
def loop(site):
    """An automation whose endpoint has a champion."""
    made = LoopPlay(site)
    made.model("old")
    made.point = Point(site).serves(model="azureml:old:1")
    return made


def fired(loop):
    loop.data(b"new")
    loop.turns()


def evaluated(loop, **metrics):
    fired(loop)
    loop.ends("train")
    loop.ends("evaluate", **metrics)
    return loop.run()


GOOD = {"candidate_accuracy": 0.95, "champion_accuracy": 0.9}


def answer(loop, yes):
    automations.answer(loop.play.deps, OWNER, WORKSPACE, ("loop", "1"), yes)
    loop.turns()


def test_nothing_to_do_is_nothing_done(loop):
    loop.turns()
    assert tick(loop.play.deps) == 0


def test_from_new_data_to_a_promoted_model(loop):
    run = evaluated(loop, **GOOD)
    assert run["state"] == "rolling_out"
    assert rollout(loop.play, "loop-1")["status"] == "running"
    loop.point.says("promoted")
    loop.turns()
    run = loop.run()
    states = [move["state"] for move in run["history"]]
    assert states == [
        "triggered", "training", "evaluating", "gated", "registered", "rolling_out", "promoted",
    ]  # fmt: skip
    assert all(move["reason"] for move in run["history"])
    assert (run["model"], run["champion"], run["ended"]) == ("m:1", "azureml:old:1", True)
    assert loop.point.model == "model:m:1"
    gated = run["history"][3]["evidence"]
    assert (gated["candidate"], gated["champion"]) == (0.95, 0.9)


def test_it_trains_on_the_version_that_fired_and_proves_both_models(loop):
    fired(loop)
    loop.data(b"newer")
    assert loop.play.shown("loop-1-train")["inputs"]["data"]["path"] == "azureml:digits:2"
    loop.ends("train")
    inputs = loop.play.shown("loop-1-evaluate")["inputs"]
    assert inputs["candidate"]["path"] == "azureml://jobs/loop-1-train/outputs/model"
    assert inputs["champion"]["path"] == "azureml:old:1"


@pytest.mark.parametrize(
    ("metrics", "code"),
    [
        ({"candidate_accuracy": 0.905, "champion_accuracy": 0.9}, "GateRejected"),
        ({"candidate_accuracy": float("nan"), "champion_accuracy": 0.9}, "MetricMissing"),
        ({"candidate_accuracy": 0.9, "champion_accuracy": float("nan")}, "MetricMissing"),
        ({"champion_accuracy": 0.9}, "MetricMissing"), ({"candidate_accuracy": 0.99}, "MetricMissing"),
        ({}, "MetricMissing"),
    ],
)  # fmt: skip
def test_a_candidate_that_proves_nothing_is_rejected_with_the_figures(loop, metrics, code):
    run = evaluated(loop, **metrics)
    assert (run["state"], run["history"][-1]["evidence"]["code"]) == ("rejected", code)
    assert loop.point.rollout == ""
    with loop.play.store.read() as tx:
        assert tx.find("model", workspace=WORKSPACE, name="m") == []


@pytest.mark.parametrize(("no_champion", "state"), [("accept", "rolling_out"), ("reject", "rejected")])
def test_without_a_champion_the_gate_says_what_becomes_of_it(site, no_champion, state):
    loop = LoopPlay(site, gate={"primary_metric": "accuracy", "no_champion": no_champion})
    Point(site)
    run = evaluated(loop, candidate_accuracy=0.5)
    assert (run["state"], run["champion"]) == (state, "")


@pytest.mark.parametrize("step", ["train", "evaluate"])
@pytest.mark.parametrize("phase", ["Failed", "Canceled"])
def test_a_job_that_does_not_complete_ends_the_run(loop, step, phase):
    fired(loop)
    if step == "evaluate":
        loop.ends("train")
    loop.ends(step, phase=phase)
    assert loop.state() == "failed"
    assert f"loop-1-{step} is {phase}" in loop.run()["reason"]


def test_a_training_that_writes_no_model_ends_the_run(loop):
    fired(loop)
    loop.play.reports("cloud", "loop-1-train", "Completed", version=9)
    loop.turns()
    assert loop.state() == "failed"
    assert "'model'" in loop.run()["reason"]


@pytest.mark.parametrize("end", ["rolled_back", "failed"])
def test_a_rollout_that_comes_back_is_the_end_of_the_run(loop, end):
    evaluated(loop, **GOOD)
    loop.point.says(end)
    loop.turns()
    assert loop.state() == "rolled_back"
    assert loop.point.model == "model:old:1"
    assert loop.run()["history"][-1]["evidence"]["digits"]


def test_approval_is_waited_for_and_given(site):
    loop = LoopPlay(site, approval="required", rollout=None)
    run = evaluated(loop, candidate_accuracy=0.9)
    assert run["state"] == "awaiting_approval"
    answer(loop, True)
    assert loop.state() == "promoted"
    assert "approved by ann" in str(loop.run()["history"])


def test_approval_is_refused(site):
    loop = LoopPlay(site, approval="required", rollout=None)
    evaluated(loop, candidate_accuracy=0.9)
    answer(loop, False)
    assert (loop.state(), loop.run()["reason"]) == ("rejected", "refused by ann")


def test_a_model_from_elsewhere_is_not_trained(site):
    loop = LoopPlay(site, triggers=[{"type": "model", "asset": "azureml:partner"}])
    Point(site)
    loop.model()
    loop.turns()
    assert loop.state() == "evaluating"
    loop.ends("evaluate", candidate_accuracy=0.9)
    assert loop.run()["model"] == "partner:1"


def test_what_is_refused_ends_the_run_with_the_reason(site):
    loop = LoopPlay(site, rollout={"deployment": {"name": "blue", "command": "x", "environment": {"image": "i"}},
                                   "endpoints": ["nowhere"]})  # fmt: skip
    run = evaluated(loop, candidate_accuracy=0.9)
    assert run["state"] == "failed"
    assert "nowhere" in run["reason"]


def test_a_job_of_somebody_else_is_not_taken_for_its_own(loop):
    loop.play.job(name="loop-1-train")
    fired(loop)
    assert loop.state() == "failed"
    assert "loop-1-train" in loop.run()["reason"]


def test_one_in_trouble_does_not_hold_up_the_others(loop):
    automations.put(loop.play.deps, OWNER, WORKSPACE, "aaa", {**_plain(), "name": "aaa"})
    with loop.play.store.begin() as tx:
        row = tx.get("automation", WORKSPACE, "aaa")
        tx.update(row.model_copy(update={"spec": {"of": "a later version"}}))
    fired(loop)
    assert loop.state() == "training"


def test_killed_after_every_step_it_still_ends_once(loop):
    """Each effect is done, its state is not written, and the next turn does it again."""
    loop.data(b"new")
    for _ in range(2):
        tick(loop.play.deps)
    names = {"train": dict[str, float](), "evaluate": GOOD}
    for _ in range(30):
        if loop.state() in ("promoted", "failed"):
            break
        with never_written(loop.play, "automation_run", "loop-1"):
            tick(loop.play.deps)
        tick(loop.play.deps)
        loop.play.turns()
        for step, metrics in list(names.items()):
            if loop.state() == {"train": "training", "evaluate": "evaluating"}[step]:
                del names[step]
                loop.tells(step, **metrics)
        rolls(loop.play)
        if loop.point.rollout:
            loop.point.says("promoted")
    assert loop.state() == "promoted"
    assert len(loop.runs()) == 1
    with loop.play.store.read() as tx:
        assert len(tx.find("job", workspace=WORKSPACE)) == 2
        assert [row.version for row in tx.find("model", workspace=WORKSPACE, name="m")] == ["1"]
        assert len(tx.find("rollout", workspace=WORKSPACE)) == 1
        revisions = tx.find("revision", workspace=WORKSPACE, archived="any")
    assert len(revisions) == 2


def test_a_stale_look_writes_nothing(loop):
    fired(loop)
    with loop.play.store.read() as tx:
        row = tx.get("automation_run", WORKSPACE, "loop-1")
    stale = Run.model_validate({**row.status["run"], "state": "triggered"})
    after = stale.model_copy(update={"state": "failed"})
    assert changed(loop.play.deps, lambda at: loop_module._write(loop.play.deps, at, row, stale, after)) == 0
    assert loop.state() == "training"


def test_two_servers_begin_one_run(loop):
    loop.data(b"new")
    tick(loop.play.deps)
    with loop.play.store.read() as tx:
        stale = tx.get("automation", WORKSPACE, "loop")
    tick(loop.play.deps)
    assert loop_module._begin(loop.play.deps, stale) == 0
    assert len(loop.runs()) == 1


def test_its_history_is_in_events_and_lineage(loop):
    evaluated(loop, **GOOD)
    with loop.play.store.read() as tx:
        verbs = [entry.verb for entry in tx.events(WORKSPACE, subject="automation:loop/1")]
        edges = {(edge.source, edge.target) for edge in tx.edges(WORKSPACE, source="automation:loop/1")}
    assert {"automation.run", "automation.training", "automation.registered"} <= set(verbs)
    assert ("automation:loop/1", "model:m:1") in edges


def _plain():
    return a_loop(rollout=None, evaluate=None, gate=None)
