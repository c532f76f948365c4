"""The link is cut while a real mlflow client trains and logs: nothing is lost, nothing is said twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures_site import Programs, wait_until
from relay import Relay

TRAIN = """
import os, sys, time, mlflow
stage = sys.argv[1]
def wait_for(name):
    until = time.time() + 60
    while not os.path.exists(os.path.join(stage, name)):
        assert time.time() < until, name
        time.sleep(0.05)
def say(name):
    open(os.path.join(stage, name), "w").close()
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    say("before")
    wait_for("cut")
    for step in range(5, 50):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
        print("step", step, flush=True)
    mlflow.log_metrics({"acc": 0.5, "auc": 0.7}, step=49)
    mlflow.set_tag("phase", "offline")
    open("plot.txt", "w").write("a plot")
    mlflow.log_artifact("plot.txt", "plots")
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("child_loss", 3)
    seen = mlflow.get_run(run.info.run_id)
    assert seen.data.metrics["acc"] == 0.5, seen.data.metrics
    assert seen.data.params == {"lr": "0.1"}, seen.data.params
    say("during")
    wait_for("mended")
    mlflow.log_metric("loss", 0, step=50)
os.makedirs("outputs", exist_ok=True)
open("outputs/model.bin", "w").write("weights")
"""


@pytest.fixture
def relay(programs: Programs) -> Iterator[Relay]:
    made = Relay(programs.server.settings.port)
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_a_job_that_trains_while_the_link_is_cut(programs: Programs, relay: Relay, tmp_path: Path) -> None:
    programs.join(server_url=relay.url)
    programs.attach()
    stage = tmp_path / "stage"
    stage.mkdir()
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    programs.submit("cut", f"{sys.executable} {script} {stage}")
    wait_until((stage / "before").exists, 60, lambda: programs.log("cut"))
    relay.cut()
    (stage / "cut").touch()
    wait_until((stage / "during").exists, 60, lambda: "the job did not go on while the link was cut")
    assert programs.job("cut")["status"] == "Running"
    relay.mend()
    (stage / "mended").touch()
    job = programs.settles("cut", within_s=60)
    assert job["status"] == "Completed", job["ferry"]
    assert programs.log("cut").count("step ") == 45
    check_runs(programs, job["ferry"]["mlflow_run_id"])


def check_runs(programs: Programs, run: str) -> None:
    """What the server's own MLflow has of it."""
    mlflow = httpx.Client(
        base_url=f"{programs.server.url}/mlflow/api/2.0/mlflow", headers=dict(programs.api.headers), timeout=30
    )
    with mlflow:
        data = mlflow.get("/runs/get", params={"run_id": run}).json()["run"]
        metrics = {m["key"]: m["value"] for m in data["data"]["metrics"]}
        assert metrics == {"loss": 0, "acc": 0.5, "auc": 0.7}
        history = mlflow.get("/metrics/get-history", params={"run_id": run, "metric_key": "loss"}).json()["metrics"]
        assert sorted(point.get("step", 0) for point in history) == list(range(51))
        tags = {t["key"]: t["value"] for t in data["data"]["tags"]}
        assert tags["phase"] == "offline"
        found = mlflow.post("/runs/search", json={"experiment_ids": [data["info"]["experiment_id"]]}).json()["runs"]
        children = [r for r in found if {"key": "mlflow.parentRunId", "value": run} in r["data"]["tags"]]
        assert [c["data"]["metrics"][0]["value"] for c in children] == [3], "made once"
        files = mlflow.get("/artifacts/list", params={"run_id": run, "path": "plots"}).json()["files"]
        assert [file["path"] for file in files] == ["plots/plot.txt"]
