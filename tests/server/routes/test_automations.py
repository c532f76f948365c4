"""Automations over HTTP: put, fired, paused, answered, removed."""

import pytest

from control_play import WORKSPACE
from http_play import Http, W, fault
from loop_play import LoopPlay, a_loop

A = f"{W}/automations"
ALONE = {"rollout": None, "evaluate": None, "gate": None}


@pytest.fixture
def http(tmp_path):
    made = Http(tmp_path)
    made.site()
    made.loop = LoopPlay(made, approval="required", **ALONE)
    yield made
    made.close()


def test_one_is_put_twice_shown_and_listed(http):
    owner = http.as_()
    for _ in range(2):
        said = owner.put(f"{A}/loop", json=a_loop(**ALONE, description="better"))
        assert (said.status_code, said.json()["description"]) == (200, "better")
    assert owner.get(f"{A}/loop").json()["phase"] == "Enabled"
    assert len(owner.get(A).json()["items"]) == 1


def test_a_run_is_fired_answered_and_remembered(http):
    owner = http.as_()
    assert owner.post(f"{A}/loop/trigger", json={"inputs": {"data": "azureml:digits:1"}}).status_code == 200
    http.loop.turns()
    assert fault(owner.post(f"{A}/loop/runs/1/approve")) == (409, "OperationInProgress")
    http.loop.ends("train")
    assert owner.get(f"{A}/loop/runs").json()["items"][0]["state"] == "awaiting_approval"
    assert owner.post(f"{A}/loop/runs/1/approve").status_code == 200
    http.loop.turns()
    run = owner.get(f"{A}/loop").json()["last_run"]
    assert (run["state"], run["model"], run["ended"]) == ("promoted", "m:1", True)


def test_paused_resumed_and_removed(http):
    owner = http.as_()
    assert owner.post(f"{A}/loop/pause").json()["phase"] == "Paused"
    assert owner.post(f"{A}/loop/resume").json()["phase"] == "Enabled"
    assert owner.delete(f"{A}/loop").status_code == 204
    assert fault(owner.get(f"{A}/loop")) == (404, "NotFound")


def test_faults_have_their_codes(http):
    owner = http.as_()
    assert fault(owner.post(f"{A}/loop/trigger", json={"inputs": {"data": "digits"}}))[0] == 400
    assert owner.post(f"{A}/loop/runs/x/approve").status_code in (400, 404, 422)
    assert fault(owner.post(f"{A}/loop/runs/7/approve"))[0] == 404
    assert fault(owner.put(f"{A}/x", json={**a_loop(), "gaate": {}}))[1] == "UnknownField"


def test_who_only_looks_changes_nothing(http):
    reader = http.as_("reader", WORKSPACE)
    assert reader.get(f"{A}/loop").status_code == 200
    assert reader.put(f"{A}/loop", json=a_loop()).status_code == 403
    for verb in ("trigger", "pause", "resume", "runs/1/approve", "runs/1/reject"):
        assert reader.post(f"{A}/loop/{verb}").status_code == 403
    assert reader.delete(f"{A}/loop").status_code == 403
