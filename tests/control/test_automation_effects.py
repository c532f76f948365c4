"""What a run sees and does: each effect twice is once, and only under its own names and rights."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import automation_effects as effects
from ferryml.control import jobs
from ferryml.control.automations import run_of, spec_of
from ferryml.domain.automation import Register, StartJob, StartRollout
from ferryml.domain.errors import Conflict, NotFound, Refused
from loop_play import LoopPlay, Point


@pytest.fixture
def loop(play):
    play.site()
    made = LoopPlay(play)
    Point(play).serves(environment_variables={"WHO": "old"})
    made.data(b"new")
    made.turns()
    return made


def row(loop):
    with loop.play.store.read() as tx:
        return tx.get("automation_run", WORKSPACE, "loop-1")


def look(loop):
    found = row(loop)
    return effects.look(loop.play.deps, found, spec_of(found), run_of(found))


def apply(loop, effect, **changes):
    found = row(loop)
    run = run_of(found).model_copy(update=changes)
    effects.apply(loop.play.deps, found, spec_of(found), run, effect)


def count(loop, kind):
    with loop.play.store.read() as tx:
        return len(tx.find(kind, workspace=WORKSPACE))


def test_it_sees_jobs_metrics_and_champion(loop):
    assert look(loop).train.phase in ("NotStarted", "Queued", "Starting", "Provisioning", "Preparing")
    assert look(loop).evaluate.phase == ""
    loop.ends("train")
    assert look(loop).train.outputs == ("model",)
    loop.ends("evaluate", candidate_accuracy=0.1, champion_accuracy=0.9)
    seen = look(loop)
    assert seen.evaluate.phase == "Completed"
    assert seen.champion == "", "the champion serves no registered model"


def test_metrics_are_asked_for_only_while_they_decide(loop):
    loop.ends("train")
    ident = loop.play.shown("loop-1-evaluate")["ferry"]["mlflow_run_id"]
    loop.play.tracking.runs[ident].metrics["candidate_accuracy"] = 0.5
    assert look(loop).evaluate.metrics == {}, "the job has not completed"
    assert look(loop).train.metrics == {}


@pytest.mark.parametrize("effect", [StartJob("train", "loop-1-train"), StartJob("evaluate", "loop-1-evaluate")])
def test_a_job_is_started_once(loop, effect):
    loop.ends("train")
    before = count(loop, "job")
    for _ in range(2):
        apply(loop, effect)
    assert count(loop, "job") == before == 2


def test_a_model_is_registered_once(loop):
    loop.ends("train")
    for _ in range(3):
        apply(loop, Register("azureml://jobs/loop-1-train/outputs/model"))
    assert count(loop, "model") == 1
    assert look(loop).registered == "m:1"


def test_a_rollout_is_made_once_and_with_the_model(loop):
    loop.ends("train")
    apply(loop, Register("azureml://jobs/loop-1-train/outputs/model"))
    for _ in range(2):
        apply(loop, StartRollout("loop-1"), model="m:1")
    with loop.play.store.read() as tx:
        [made] = tx.find("rollout", workspace=WORKSPACE)
    assert made.spec["deployment"]["model"] == "azureml:m:1"
    assert made.parent == "loop-1"


def test_a_name_that_somebody_else_took_is_no_work_of_the_run(play):
    play.site()
    loop = LoopPlay(play, approval="required", rollout=None)
    loop.data(b"new")
    loop.turns()
    loop.tells("train")
    loop.play.job(name="loop-1-evaluate")
    with pytest.raises(Conflict):
        apply(loop, StartJob("evaluate", "loop-1-evaluate"), candidate="azureml://jobs/loop-1-train/outputs/model")


def test_a_step_that_is_not_there_is_refused(play):
    play.site()
    loop = LoopPlay(play, evaluate=None, gate=None, rollout=None)
    loop.data(b"new")
    loop.turns()
    with pytest.raises(Refused):
        apply(loop, StartJob("evaluate", "loop-1-evaluate"))
    apply(loop, StartRollout("loop-1"))
    assert count(loop, "rollout") == 0


def test_a_job_may_be_named_instead_of_written(play):
    play.site()
    loop = LoopPlay(play)
    outputs = {"model": {"type": "custom_model"}}
    once = {"name": "once", "command": "c", "environment": {"image": "i"}, "compute": "c1", "outputs": outputs}
    jobs.create(play.deps, OWNER, WORKSPACE, once)
    loop.put(create_job={"job": "azureml:once", "experiment_name": "again"}, rollout=None, evaluate=None, gate=None)
    loop.data(b"new")
    loop.turns()
    made = play.shown("loop-1-train")
    assert (made["command"], made["experiment_name"]) == ("c", "again")


def test_a_job_that_is_named_and_gone_ends_the_run(play):
    play.site()
    loop = LoopPlay(play, create_job={"job": "azureml:nothing"}, rollout=None, evaluate=None, gate=None)
    loop.data(b"new")
    loop.turns()
    assert loop.state() == "failed"
    with pytest.raises(NotFound):
        apply(loop, StartJob("train", "loop-1-train"))


def test_without_data_in_the_trigger_the_jobs_own_input_stands(play):
    play.site()
    loop = LoopPlay(
        play, triggers=[{"type": "cron", "expression": "* * * * *"}], rollout=None, evaluate=None, gate=None
    )
    loop.turns()
    play.dice.passes(61)
    loop.turns()
    assert play.shown("loop-1-train")["inputs"]["data"]["path"] == "azureml:digits@latest"


def test_a_run_has_the_rights_of_its_maker(loop):
    caller = effects.caller_of(row(loop))
    assert (caller.name, caller.role) == ("ann", "owner")
    assert loop.play.shown("loop-1-train")["creation_context"]["created_by"] == "ann"
