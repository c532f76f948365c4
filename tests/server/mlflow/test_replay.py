"""A journal may arrive twice; nothing doubles, and nothing passes that the network would not let pass."""

import json

import pytest

from ferryml.domain.errors import NotFound, Refused
from ferryml.server.mlflow.replay import journalled
from mlflow_things import everything


def call(server, method: str, path: str, body: object, job: str = "", kind: str = "application/json"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = server.tracking.call("blue", method, path, kind, raw, job=job)
    return status, json.loads(answer or b"{}") if kind == "application/json" else answer


def test_everything_twice_is_everything_once(server):
    run_id = server.tracking.create_run("blue", "replayed", "one", {})
    metrics = [{"key": "m", "value": value, "timestamp": 1, "step": step} for step, value in enumerate([1, 2, "NaN"])]
    with server.client("anna") as anna:
        run = anna.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    api = "api/2.0/mlflow/runs"
    journal = [
        (f"{api}/log-batch", {"run_id": run_id, "metrics": metrics, "params": [{"key": "p", "value": "1"}]}),
        (f"{api}/log-metric", {"run_id": run_id, "key": "single", "value": 1, "timestamp": 5, "step": 1}),
        (f"{api}/log-parameter", {"run_id": run_id, "key": "q", "value": "2"}),
        (f"{api}/set-tag", {"run_id": run_id, "key": "t", "value": "3"}),
        (f"{api}/update", {"run_id": run_id, "status": "FINISHED", "end_time": 9}),
    ]
    seen = []
    for _ in range(2):
        for path, body in journal:
            assert call(server, "POST", path, body, "one")[0] == 200, path
        put = call(
            server, "PUT", f"api/2.0/mlflow-artifacts/artifacts/{folder}/d%C3%A4/x.bin", b"\x00\xff", "one", "x/y"
        )
        assert put[0] == 200, put
        seen.append(everything(server.host.engine))
    assert seen[0] == seen[1]
    assert server.tracking.metrics("blue", run_id)["single"] == 1
    assert b"".join(server.tree.read(server.tree.below("blue", "")[0])) == b"\x00\xff"
    assert server.tree.below("blue", "")[0].path.endswith("/dä/x.bin")


def test_a_child_run_is_made_once_and_found_again(server):
    parent = server.tracking.create_run("blue", "replayed", "one", {})
    with server.client("anna") as anna:
        experiment = anna.get("/api/2.0/mlflow/runs/get", params={"run_id": parent}).json()["run"]["info"][
            "experiment_id"
        ]
    tags = [{"key": "mlflow.parentRunId", "value": parent}, {"key": "ferry.provisional", "value": "prov-1"}]
    body = {"experiment_id": experiment, "start_time": 1, "tags": tags}
    first = call(server, "POST", "api/2.0/mlflow/runs/create", body, "one")
    again = call(server, "POST", "api/2.0/mlflow/runs/create", body, "one")
    assert first[0] == again[0] == 200
    child = first[1]["run"]["info"]["run_id"]
    assert again[1]["run"]["info"]["run_id"] == child
    metric = {"run_id": child, "key": "m", "value": 1, "timestamp": 1}
    assert call(server, "POST", "api/2.0/mlflow/runs/log-metric", metric, "one")[0] == 200
    status, answer = call(server, "POST", "api/2.0/mlflow/runs/log-metric", metric, "two")
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")


def test_spans_are_replayed_too(server):
    span = {"traceId": "12" * 16, "spanId": "34" * 8, "name": "s", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    body = json.dumps(spans).encode()
    assert server.tracking.call("blue", "POST", "v1/traces", "application/json", body)[0] == 422
    with server.client("anna") as anna:
        experiment = anna.post("/api/2.0/mlflow/experiments/create", json={"name": "spans"}).json()["experiment_id"]
        path = f"v1/traces?x-mlflow-experiment-id={experiment}"
        for _ in range(2):
            assert server.tracking.call("blue", "POST", path, "application/json", body)[0] == 200
        found = anna.get("/api/3.0/mlflow/traces/get", params={"trace_id": "tr-" + "12" * 16}).json()
    assert len(found["trace"]["spans"]) == 1


def test_the_door_is_the_same(server, red):
    refused = [
        ("POST", "api/2.0/mlflow/runs/set-tag", {"run_id": red.run, "key": "k", "value": "v"}, 404),
        ("POST", "api/3.0/mlflow/gateway/secrets/create", {}, 403),
        ("POST", "api/2.0/mlflow/runs/set-tag", {"run_id": server.my_run, "key": "ferry.job", "value": "v"}, 403),
        ("PUT", f"api/2.0/mlflow-artifacts/artifacts/{red.folder}/x", b"x", 400),
        ("POST", "api/2.0/mlflow/nonsense", {}, 404),
    ]
    for method, path, body, status in refused:
        assert call(server, method, path, body)[0] == status, path


def test_reads_pass_through_the_same_port(server):
    run_id = server.tracking.create_run("blue", "replayed", "reader", {})
    with server.client("anna") as anna:
        run = anna.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id}).json()["run"]["info"]
    folder, files = run["artifact_uri"].removeprefix("mlflow-artifacts:/"), "api/2.0/mlflow-artifacts/artifacts"
    assert call(server, "PUT", f"{files}/{folder}/a.bin", b"\x00\xff", "reader")[0] == 200
    assert call(server, "GET", f"{files}/{folder}/a.bin", b"", "reader", "x/y") == (200, b"\x00\xff")
    listed = call(server, "GET", f"{files}?path={folder}", b"", "reader")[1]["files"]
    assert listed == [{"path": "a.bin", "is_dir": False, "file_size": 2}]
    size, chunks = server.tracking.open_file("blue", f"{folder}/a.bin")
    assert (size, b"".join(chunks)) == (2, b"\x00\xff")
    for missing in (f"{folder}/none", folder):
        with pytest.raises(NotFound):
            server.tracking.open_file("blue", missing)
    with pytest.raises(Refused):
        server.tracking.open_file("Red_Team", f"{folder}/a.bin")


def test_paths_are_unquoted_and_queries_kept():
    request = journalled("GET", "api/a%20b?x=%20y", "text/plain", b"z")
    assert (request.path, request.query, request.body) == ("/api/a b", "x=%20y", b"z")
    assert request.headers == {"content-type": "text/plain"}
