"""The closed loop with tiny commands through whole programs, whose server is killed in every state."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from system_play import PLAIN, W, World, until

pytestmark = pytest.mark.timeout(240)
EVALUATE = """
import json, os, sys, urllib.request
for name, value in (pair.split("=") for pair in sys.argv[1:]):
    said = "NaN" if value == "nan" else float(value)  # as mlflow itself writes it
    body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": name, "value": said, "timestamp": 1, "step": 0}
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
    headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).read()
"""


def blob(world: World, data: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    assert world.api.put(f"{W}/artifacts/blobs/{digest}", content=data).status_code in (200, 201)
    return digest


def data(world: World, body: str) -> None:
    digest = blob(world, body.encode())
    spec = {"name": "digits", "type": "uri_file", "path": f"content:file:{digest}:d.txt"}
    world.post(f"{W}/datas", spec)


def put(world: World, metrics: str, done: Path, **changes: Any) -> None:
    script = world.folder / "evaluate.py"
    script.write_text(EVALUATE)
    train = {
        "type": "command", "compute": "azureml:here", "environment": PLAIN,
        "command": f"cat ${{{{inputs.data}}}} > ${{{{outputs.model}}}}/weights; echo train >> {done}; sleep 1",
        "inputs": {"data": {"type": "uri_file", "path": "azureml:digits@latest"}},
        "outputs": {"model": {"type": "custom_model"}},
    }  # fmt: skip
    evaluate = {
        "type": "command", "compute": "azureml:here", "environment": PLAIN,
        "command": f"{sys.executable} {script} {metrics}; test -e ${{{{inputs.candidate}}}}; echo evaluate >> {done}",
        "inputs": {"candidate": {"type": "custom_model"}},
    }  # fmt: skip
    spec = {
        "triggers": [{"type": "data", "asset": "azureml:digits"}],
        "create_job": {"job": train, "inputs": {"data": "${{trigger.data}}"}},
        "candidate": {"output": "model", "name": "m"}, "evaluate": {"job": evaluate},
        "gate": {"primary_metric": "accuracy", "min_value": 0.5}, **changes,
    }  # fmt: skip
    world.put(f"{W}/automations/loop", spec)


def run(world: World, number: int = 1) -> Any:
    found = world.get(f"{W}/automations/loop/runs")["items"]
    return next((one for one in found if one["run"] == str(number)), {"state": "", "ended": False, "history": []})


def reaches(world: World, state: str, number: int = 1) -> Any:
    def there() -> bool:
        now = run(world, number)
        return any(move["state"] == state for move in now["history"])

    until(there, 60, lambda: f"{run(world, number)}\n{world.tail()}")
    return run(world, number)


def test_killed_in_every_state_a_run_still_ends_once(world: World, tmp_path: Path) -> None:
    done = tmp_path / "done"
    data(world, "old")
    put(world, "candidate_accuracy=0.9", done, approval="required")
    data(world, "new")
    for state in ("training", "evaluating", "awaiting_approval"):
        reaches(world, state)
        world.kill("server")
        world.serve()
    world.post(f"{W}/automations/loop/runs/1/approve")
    world.kill("server")
    world.serve()
    found = reaches(world, "promoted")
    assert found["model"] == "m:1"
    assert done.read_text().split() == ["train", "evaluate"]
    assert len(world.get(f"{W}/automations/loop/runs")["items"]) == 1
    assert len(world.get(f"{W}/models", name="m")["items"]) == 1
    assert [move["state"] for move in found["history"]] == [
        "triggered", "training", "evaluating", "awaiting_approval", "gated", "registered", "promoted",
    ]  # fmt: skip


def test_what_proves_nothing_is_rejected_and_late_data_is_one_more_run(world: World, tmp_path: Path) -> None:
    data(world, "old")
    put(world, "candidate_accuracy=0.1", tmp_path / "done")
    data(world, "1")
    reaches(world, "training")
    for body in ("2", "3", "4"):
        data(world, body)
    found = reaches(world, "rejected")
    assert found["history"][-1]["evidence"]["code"] == "GateRejected"
    put(world, "candidate_accuracy=nan", tmp_path / "done")
    found = reaches(world, "rejected", 2)
    assert found["trigger"]["data"] == "azureml:digits:5"
    assert json.dumps(found)
    world.post(f"{W}/automations/loop/pause")
    data(world, "missed")
    world.post(f"{W}/automations/loop/resume")
    world.post(f"{W}/automations/loop/trigger")
    found = reaches(world, "rejected", 3)
    assert found["history"][-1]["evidence"]["code"] == "MetricMissing", found
    assert len(world.get(f"{W}/automations/loop/runs")["items"]) == 3
