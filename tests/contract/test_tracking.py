"""One contract for the real MLflow and the one in memory."""

import json

import pytest

from ferryml.bootstrap.dice import SystemDice
from ferryml.control.ports import ModelVersion
from ferryml.domain.errors import Conflict, NotFound
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.runs import MlflowTracking
from ferryml.server.mlflow.tree import StoreTree
from ferryml.store.blobs import open_blobs
from ferryml.store.database import open_store
from ferryml.testing.tracking import MemoryTracking

JSON = "application/json"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    store = open_store(f"sqlite:///{folder}/ferry.db")
    tree = StoreTree(store, open_blobs(str(folder / "artifacts")))
    yield MlflowTracking(MlflowHost(f"sqlite:///{folder}/mlflow.db", tree), SystemDice().now)
    store.close()


@pytest.fixture(params=["memory", "mlflow"])
def tracking(request):
    return MemoryTracking() if request.param == "memory" else request.getfixturevalue("real")


def call(tracking, workspace, route, job="", **body):
    status, said = tracking.call(workspace, "POST", f"api/2.0/mlflow/{route}", JSON, json.dumps(body).encode(), job)
    return status, json.loads(said)


def test_one_run_for_each_job(tracking):
    tracking.ensure_workspace("one")
    first = tracking.create_run("one", "Default", "job-a", {"a": "b"})
    assert tracking.create_run("one", "Default", "job-a", {}) == first
    assert tracking.create_run("one", "Default", "job-b", {}) != first
    assert tracking.create_run("two", "Default", "job-a", {}) != first


def test_runs_end_and_are_their_workspace_s_own(tracking):
    run = tracking.create_run("one", "Default", "job-end", {})
    tracking.end_run("one", run, "FINISHED")
    tracking.end_run("one", run, "FINISHED")
    status, said = tracking.call("one", "GET", f"api/2.0/mlflow/runs/get?run_id={run}", "", b"")
    assert (status, json.loads(said)["run"]["info"]["status"]) == (200, "FINISHED")
    for wrong in ((lambda: tracking.end_run("two", run, "KILLED")), (lambda: tracking.artifacts("two", run, "x"))):
        with pytest.raises(NotFound):
            wrong()


def test_metrics_and_params_by_call(tracking):
    run = tracking.create_run("one", "Default", "job-m", {})
    for _ in range(2):
        sent = {"run_id": run, "key": "acc", "value": 0.5, "timestamp": 1, "step": 0}
        assert call(tracking, "one", "runs/log-metric", "job-m", **sent)[0] == 200
        assert call(tracking, "one", "runs/log-parameter", "job-m", run_id=run, key="p", value="v")[0] == 200
    assert tracking.metrics("one", run) == {"acc": 0.5}
    assert tracking.params("one", run) == {"p": "v"}


def test_a_provisional_run_is_made_once(tracking):
    made = [
        call(
            tracking, "one", "runs/create", "job-a", experiment_id="0", start_time=1,
            tags=[{"key": "ferry.provisional", "value": "prov-1"}],
        )[1]["run"]["info"]["run_id"]
        for _ in range(2)
    ]  # fmt: skip
    assert made[0] == made[1]


def test_refusals_are_answers(tracking):
    assert call(tracking, "one", "runs/log-metric", run_id="0" * 32, key="k", value=1, timestamp=1)[0] == 404
    assert call(tracking, "one", "no/such/thing")[0] == 404


def test_models_of_ferry_are_registered_once_and_not_found_again(tracking):
    for _ in range(2):
        tracking.register_model("one", "net", "1", "ferry-models/net/1", "")
    assert tracking.model_versions("one", 0) == []


def test_a_number_with_other_content_is_a_conflict(tracking):
    if isinstance(tracking, MemoryTracking):
        taken = ModelVersion(workspace="one", name="taken", version="1", source="1/models/x", created_ms=1)
        tracking.logged(taken)
    else:
        call(tracking, "one", "registered-models/create", name="taken")
        run = tracking.create_run("one", "Default", "taker", {})
        said = tracking.call("one", "GET", f"api/2.0/mlflow/runs/get?run_id={run}", "", b"")[1]
        source = json.loads(said)["run"]["info"]["artifact_uri"] + "/m"
        assert call(tracking, "one", "model-versions/create", name="taken", source=source, run_id=run)[0] == 200
    assert [version.name for version in tracking.model_versions("one", 0)] == ["taken"]
    with pytest.raises(Conflict):
        tracking.register_model("one", "taken", "1", "ferry-models/taken/1", "")


def test_files_of_a_run_are_below_its_artifacts(tracking):
    run = tracking.create_run("one", "Default", "job-f", {})
    assert tracking.artifacts("one", run, "model").endswith(f"{run}/artifacts/model")


def test_files_that_are_not_there(tracking):
    with pytest.raises(NotFound):
        tracking.open_file("one", "0/none/artifacts/x")
