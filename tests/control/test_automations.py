"""Automations as people handle them: put, fired, paused, answered, removed."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import automations
from ferryml.control.context import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound
from loop_play import TRAIN, LoopPlay, a_loop


@pytest.fixture
def loop(play):
    play.site()
    return LoopPlay(play, rollout=None, evaluate=None, gate=None)


def show(loop):
    return automations.show(loop.play.deps, OWNER, WORKSPACE, "loop")


def trigger(loop, **inputs):
    return automations.trigger(loop.play.deps, OWNER, WORKSPACE, "loop", inputs)


def pause(loop, paused=True):
    return automations.set_paused(loop.play.deps, OWNER, WORKSPACE, "loop", paused)


def test_what_exists_when_it_is_made_fires_nothing(loop):
    loop.turns()
    assert loop.runs() == []
    loop.data(b"new")
    loop.turns()
    assert loop.state() == "training"


def test_nothing_private_is_shown(loop):
    trigger(loop)
    seen = show(loop)
    assert seen["ferry"]["pending"] is True
    assert not {"caller", "seen", "cron", "metrics"} & set(seen["ferry"])
    assert automations.list_automations(loop.play.deps, OWNER, WORKSPACE, 0, 5)["items"][0]["name"] == "loop"


def test_a_trigger_by_hand_says_who_and_may_pin(loop):
    trigger(loop, data="azureml:digits:1")
    loop.turns()
    run = loop.run()
    assert (run["trigger"]["kind"], run["trigger"]["by"], run["trigger"]["data"]) == (
        "manual",
        "ann",
        "azureml:digits:1",
    )
    assert show(loop)["last_run"]["name"] == "1"


@pytest.mark.parametrize("inputs", [{"data": "azureml:digits"}, {"data": "digits@latest"}, {"colour": "azureml:a:1"}])
def test_a_pin_without_a_version_is_refused(loop, inputs):
    with pytest.raises(FerryError):
        trigger(loop, **inputs)
    assert show(loop)["ferry"]["pending"] is False


def test_late_triggers_become_one_run(loop):
    trigger(loop)
    loop.turns()
    for body in (b"1", b"2", b"3"):
        loop.data(body)
        loop.turns()
    trigger(loop)
    loop.turns()
    assert len(loop.runs()) == 1
    loop.ends("train")
    assert len(loop.runs()) == 2
    assert loop.run(2)["trigger"]["data"] == "azureml:digits:4"
    loop.ends("train", 2)
    assert len(loop.runs()) == 2


def test_a_model_and_new_data_that_come_together_are_two_runs(play):
    play.site()
    both = [{"type": "data", "asset": "azureml:digits"}, {"type": "model", "asset": "azureml:partner"}]
    loop = LoopPlay(play, triggers=both, rollout=None, evaluate=None, gate=None)
    loop.model()
    loop.data(b"new")
    loop.turns()
    assert len(loop.runs()) == 1, "one at a time"
    loop.ends("train")
    assert sorted(run["trigger"]["kind"] for run in loop.runs()) == ["data", "model"]


def test_paused_it_does_not_fire_and_takes_up_from_now(loop):
    assert pause(loop)["phase"] == "Paused"
    loop.data(b"missed")
    loop.turns()
    assert loop.runs() == []
    pause(loop, False)
    loop.turns()
    assert loop.runs() == []
    loop.data(b"seen")
    loop.turns()
    assert loop.run()["trigger"]["data"] == "azureml:digits:3"


def test_a_run_under_way_goes_on_while_paused(loop):
    trigger(loop)
    loop.turns()
    pause(loop)
    loop.ends("train")
    assert loop.state() == "promoted"


def test_the_same_document_again_does_not_undo_a_pause(loop):
    pause(loop)
    loop.put(rollout=None, evaluate=None, gate=None)
    assert show(loop)["phase"] == "Paused"
    assert loop.put(rollout=None, evaluate=None, gate=None, enabled=False)["phase"] == "Paused"
    assert loop.put(rollout=None, evaluate=None, gate=None, enabled=True)["phase"] == "Enabled"


def test_a_run_keeps_the_spec_it_began_with(loop):
    trigger(loop)
    loop.turns()
    loop.put(rollout=None, evaluate=None, gate=None, candidate={"output": "model", "name": "other"})
    loop.ends("train")
    assert loop.run()["model"] == "m:1"


def test_only_a_run_that_waits_takes_an_answer(loop):
    trigger(loop)
    loop.turns()
    with pytest.raises(Conflict):
        automations.answer(loop.play.deps, OWNER, WORKSPACE, ("loop", "1"), True)
    with pytest.raises(NotFound):
        automations.answer(loop.play.deps, OWNER, WORKSPACE, ("loop", "9"), True)


def test_it_is_removed_once_nothing_runs_and_its_names_are_not_used_again(loop):
    trigger(loop)
    loop.turns()
    with pytest.raises(Conflict):
        automations.delete(loop.play.deps, OWNER, WORKSPACE, "loop")
    loop.ends("train")
    automations.delete(loop.play.deps, OWNER, WORKSPACE, "loop")
    with pytest.raises(NotFound):
        show(loop)
    loop.put(rollout=None, evaluate=None, gate=None)
    trigger(loop)
    loop.turns()
    assert loop.run(2)["state"] == "training"
    assert loop.play.shown("loop-2-train")["status"] != "Completed"


def test_a_reader_only_looks(loop):
    reader = Caller("rita", "reader", WORKSPACE)
    deps = loop.play.deps
    assert automations.show(deps, reader, WORKSPACE, "loop")["name"] == "loop"
    for act in (
        lambda: automations.put(deps, reader, WORKSPACE, "x", a_loop()),
        lambda: automations.trigger(deps, reader, WORKSPACE, "loop", {}),
        lambda: automations.set_paused(deps, reader, WORKSPACE, "loop", True),
        lambda: automations.delete(deps, reader, WORKSPACE, "loop"),
        lambda: automations.answer(deps, reader, WORKSPACE, ("loop", "1"), True),
    ):
        with pytest.raises(Forbidden):
            act()


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate": None}, {"candidate": {"output": "nothing", "name": "m"}}, {"colour": 1},
        {"create_job": None}, {"create_job": {"job": {**TRAIN, "comand": "x"}}},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(loop, changes):
    with pytest.raises(FerryError):
        loop.put(**changes)
