"""The port `Tracking` on the real stores."""

import math
import threading

import pytest

from ferryml.domain.errors import NotFound
from ferryml.server.mlflow.runs import run_id_of
from mlflow_things import post


def test_a_job_has_one_run_however_often_it_is_asked_for(server):
    ids: list[str] = []
    ask = [
        threading.Thread(target=lambda: ids.append(server.tracking.create_run("blue", "made", "calm_fox", {"a": "b"})))
        for _ in range(6)
    ]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join(30)
    assert ids == [run_id_of("blue", "calm_fox")] * 6
    with server.client("anna") as anna:
        run = anna.get("/api/2.0/mlflow/runs/get", params={"run_id": ids[0]}).json()["run"]
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]} == {
        "a": "b",
        "ferry.job": "calm_fox",
        "mlflow.runName": "calm_fox",
    }
    assert run["info"]["status"] == "SCHEDULED"
    assert run["info"]["artifact_uri"].endswith(f"/{ids[0]}/artifacts")


def test_jobs_of_one_name_in_two_workspaces_have_two_runs(server):
    ids = {server.tracking.create_run(workspace, "e", "same", {}) for workspace in ("blue", "Red_Team")}
    assert len(ids) == 2


def test_a_deleted_experiment_comes_back_for_a_job(server):
    server.tracking.create_run("blue", "gone", "first", {})
    with server.client("boss") as boss:
        found = boss.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "gone"}).json()
        post(boss, "/api/2.0/mlflow/experiments/delete", experiment_id=found["experiment"]["experiment_id"])
    run_id = server.tracking.create_run("blue", "gone", "second", {})
    assert server.tracking.metrics("blue", run_id) == {}


def test_ending_a_run(server):
    run_id = server.tracking.create_run("blue", "e", "ends", {})
    server.tracking.end_run("blue", run_id, "FAILED")
    with server.client("boss") as boss:
        info = boss.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]["info"]
        assert info["status"] == "FAILED"
        assert info["end_time"] > 0
        post(boss, "/api/2.0/mlflow/runs/delete", run_id=run_id)
    server.tracking.end_run("blue", run_id, "FINISHED")
    with pytest.raises(NotFound):
        server.tracking.end_run("blue", "0" * 32, "FINISHED")


def test_another_workspaces_run_is_not_there(server):
    run_id = server.tracking.create_run("Red_Team", "e", "theirs", {})
    for ask in (server.tracking.metrics, server.tracking.params):
        with pytest.raises(NotFound):
            ask("blue", run_id)
    with pytest.raises(NotFound):
        server.tracking.end_run("blue", run_id, "KILLED")


def test_metrics_are_the_latest_values(server):
    run_id = server.tracking.create_run("blue", "e", "measured", {})
    with server.client("anna") as anna:
        for step, value in enumerate([0.1, 0.9, "NaN"]):
            key = "loss" if value == "NaN" else "accuracy"
            metric = {"key": key, "value": value, "timestamp": 1, "step": step}
            post(anna, "/api/2.0/mlflow/runs/log-batch", run_id=run_id, metrics=[metric])
        post(anna, "/api/2.0/mlflow/runs/log-parameter", run_id=run_id, key="depth", value="3")
    seen = server.tracking.metrics("blue", run_id)
    assert seen["accuracy"] == 0.9
    assert math.isnan(seen["loss"])
    assert server.tracking.params("blue", run_id) == {"depth": "3"}


def test_nothing_falls_back_to_a_default_workspace(server):
    """MLflow itself refuses a store call outside of a workspace."""
    with pytest.raises(Exception, match="Active workspace is required"):
        server.host.tracking.search_experiments()
