"""One of everything in a workspace of MLflow's, and for each of its routes a call that reaches for them."""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from mlflow.server import app as flask_app

from ferryml.server.mlflow.context import mlflow_name

SECRET = "redsecret"
"""In every name, key and value that the other workspace owns."""


@dataclass(frozen=True)
class Things:
    """Ids of one of everything in the workspace Red_Team."""

    experiment: str
    run: str
    model: str
    trace: str
    assessment: str
    dataset: str

    @property
    def folder(self) -> str:
        return f"workspaces/{mlflow_name('Red_Team')}/{self.experiment}/{self.run}/artifacts"


def post(client, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


def make_things(server) -> Things:
    with server.client("rosa") as red:
        experiment = post(red, "/api/2.0/mlflow/experiments/create", name=f"{SECRET}-experiment")["experiment_id"]
        run = post(red, "/api/2.0/mlflow/runs/create", experiment_id=experiment, run_name=SECRET, start_time=1)
        run_id = run["run"]["info"]["run_id"]
        post(
            red, "/api/2.0/mlflow/runs/log-batch", run_id=run_id,
            metrics=[{"key": SECRET, "value": 4711, "timestamp": 1, "step": 0}], params=[{"key": "p", "value": SECRET}],
            tags=[{"key": SECRET, "value": SECRET}],
        )  # fmt: skip
        data = {"name": SECRET, "digest": "d", "source_type": "local", "source": SECRET}
        post(red, "/api/2.0/mlflow/runs/log-inputs", run_id=run_id, datasets=[{"dataset": data}])
        folder = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts"
        for name in (f"{SECRET}.txt", f"m/{SECRET}.txt"):
            assert red.put(f"{folder}/{name}", content=SECRET.encode()).status_code == 200
        logged = post(red, "/api/2.0/mlflow/logged-models", experiment_id=experiment, name=SECRET, source_run_id=run_id)
        model = logged["model"]["info"]["model_id"]
        place = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/models/{model}/artifacts"
        assert red.put(f"{place}/{SECRET}.txt", content=SECRET.encode()).status_code == 200
        post(red, "/api/2.0/mlflow/registered-models/create", name=SECRET)
        post(
            red, "/api/2.0/mlflow/model-versions/create", name=SECRET, run_id=run_id,
            source=f"mlflow-artifacts:/workspaces/{mlflow_name('Red_Team')}/{experiment}/{run_id}/artifacts/m",
        )  # fmt: skip
        post(red, "/api/2.0/mlflow/registered-models/alias", name=SECRET, alias="champion", version="1")
        trace = "tr-" + "ab" * 16
        post(red, "/api/3.0/mlflow/traces", trace={"trace_info": trace_info(trace, experiment)})
        spans = {"resourceSpans": [{"scopeSpans": [{"spans": [a_span(trace, SECRET)]}]}]}
        answer = red.post("/v1/traces", json=spans, headers={"x-mlflow-experiment-id": experiment})
        assert answer.status_code == 200, answer.text
        said = {"assessment_name": SECRET, "source": {"source_type": "HUMAN", "source_id": SECRET}, "trace_id": trace}
        said |= {"feedback": {"value": SECRET}}
        judged = post(red, f"/api/3.0/mlflow/traces/{trace}/assessments", assessment=said)
        dataset = post(red, "/api/3.0/mlflow/datasets/create", name=SECRET, experiment_ids=[experiment])
        dataset_id = dataset["dataset"]["dataset_id"]
        records = json.dumps([{"inputs": {"q": SECRET}}])
        post(red, f"/api/3.0/mlflow/datasets/{dataset_id}/records", records=records)
        scorer = json.dumps({"name": SECRET, "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {}})
        post(red, "/api/3.0/mlflow/scorers/register", experiment_id=experiment, name=SECRET, serialized_scorer=scorer)
    return Things(experiment, run_id, model, trace, judged["assessment"]["assessment_id"], dataset_id)


def a_span(trace: str, name: str) -> dict[str, Any]:
    key = {"key": "mlflow.traceRequestId", "value": {"stringValue": json.dumps(trace)}}
    return {
        "traceId": trace.removeprefix("tr-"), "spanId": "cd" * 8, "name": name, "attributes": [key],
        "startTimeUnixNano": "1", "endTimeUnixNano": "2",
    }  # fmt: skip


def trace_info(trace: str, experiment: str) -> dict[str, Any]:
    return {
        "trace_id": trace,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-01-01T00:00:00Z", "execution_duration": "1s", "state": "OK",
        "request_preview": SECRET, "tags": {"mlflow.traceName": SECRET}, "trace_metadata": {},
    }  # fmt: skip


def probes(red: Things, mine: str, my_run: str) -> dict[tuple[str, str], tuple[str, Any, Any]]:
    """For each offered route: path, query and body that reach for Red_Team's things."""
    v2, v3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
    files = "/api/2.0/mlflow-artifacts"
    run, exp = {"run_id": red.run}, {"experiment_id": red.experiment}
    model, version = {"name": SECRET}, {"name": SECRET, "version": "1"}
    found: dict[tuple[str, str], tuple[str, Any, Any]] = {}

    def probe(method: str, rule: str, query: Any = None, body: Any = None, **arguments: str) -> None:
        path = rule
        for name, value in arguments.items():
            path = path.replace(f"<{name}>", value).replace(f"<path:{name}>", value)
        found[method, rule] = (path, query, body)

    probe("POST", f"{v2}/experiments/delete", body=exp)
    probe("POST", f"{v2}/experiments/restore", body=exp)
    probe("POST", f"{v2}/experiments/update", body=exp | {"new_name": "x"})
    probe("GET", f"{v2}/experiments/get", exp)
    probe("GET", f"{v2}/experiments/get-by-name", {"experiment_name": f"{SECRET}-experiment"})
    probe("POST", f"{v2}/experiments/search-datasets", body={"experiment_ids": [red.experiment]})
    probe("POST", f"{v2}/experiments/set-experiment-tag", body=exp | {"key": "k", "value": "v"})
    probe("POST", f"{v2}/experiments/delete-experiment-tag", body=exp | {"key": "k"})
    probe("POST", f"{v2}/runs/create", body=exp | {"start_time": 1})
    probe("POST", f"{v2}/runs/update", body=run | {"status": "KILLED"})
    probe("POST", f"{v2}/runs/delete", body=run)
    probe("POST", f"{v2}/runs/restore", body=run)
    probe("POST", f"{v2}/runs/log-metric", body=run | {"key": "k", "value": 1, "timestamp": 1})
    probe("POST", f"{v2}/runs/log-parameter", body=run | {"key": "k", "value": "1"})
    probe(
        "POST",
        f"{v2}/runs/log-batch",
        body={
            "run_id": my_run,
            "metrics": [{"key": "k", "value": 1, "timestamp": 1, "step": 0, "model_id": red.model}],
        },
    )
    probe("POST", f"{v2}/runs/log-model", body=run | {"model_json": "{}"})
    probe("POST", f"{v2}/runs/log-inputs", body={"run_id": my_run, "models": [{"model_id": red.model}]})
    probe("POST", f"{v2}/runs/outputs", body={"run_id": my_run, "models": [{"model_id": red.model, "step": 0}]})
    probe("POST", f"{v2}/runs/set-tag", body=run | {"key": "k", "value": "v"})
    probe("POST", f"{v2}/runs/delete-tag", body=run | {"key": SECRET})
    probe("GET", f"{v2}/runs/get", run)
    probe("POST", f"{v2}/runs/search", body={"experiment_ids": [red.experiment]})
    probe("GET", f"{v2}/metrics/get-history", run | {"metric_key": SECRET})
    probe("GET", f"{v2}/metrics/get-history-bulk", run | {"metric_key": SECRET})
    probe("GET", f"{v2}/metrics/get-history-bulk-interval", {"run_ids": red.run, "metric_key": SECRET})
    probe("GET", f"{v2}/artifacts/list", run)
    probe("GET", "/get-artifact", {"run_uuid": red.run, "path": f"{SECRET}.txt"})
    probe("GET", "/model-versions/get-artifact", version | {"path": f"{SECRET}.txt"})
    probe("POST", f"{v2}/upload-artifact", {"run_uuid": red.run, "path": "x.txt"}, {"x": 1})
    probe("GET", f"{files}/artifacts", {"path": red.folder})
    probe("GET", f"{files}/artifacts/<path:artifact_path>", artifact_path=f"{red.folder}/{SECRET}.txt")
    probe("PUT", f"{files}/artifacts/<path:artifact_path>", body="x", artifact_path=f"{red.folder}/x.txt")
    probe("DELETE", f"{files}/artifacts/<path:artifact_path>", artifact_path=f"{red.folder}/{SECRET}.txt")
    probe("POST", f"{v2}/logged-models", body=exp | {"name": "x"})
    probe("POST", f"{v2}/logged-models/search", body={"experiment_ids": [red.experiment]})
    for method in ("GET", "PATCH", "DELETE"):
        body = {"model_id": red.model, "status": "LOGGED_MODEL_READY"} if method == "PATCH" else None
        probe(method, f"{v2}/logged-models/<model_id>", body=body, model_id=red.model)
    probe(
        "POST",
        f"{v2}/logged-models/<model_id>/params",
        body={"params": [{"key": "a", "value": "b"}]},
        model_id=red.model,
    )
    probe(
        "PATCH", f"{v2}/logged-models/<model_id>/tags", body={"tags": [{"key": "a", "value": "b"}]}, model_id=red.model
    )
    probe("DELETE", f"{v2}/logged-models/<model_id>/tags/<tag_key>", model_id=red.model, tag_key="a")
    probe("GET", f"{v2}/logged-models/<model_id>/artifacts/directories", model_id=red.model)
    probe(
        "GET",
        f"{v2}/logged-models/<model_id>/artifacts/files",
        {"artifact_file_path": f"{SECRET}.txt"},
        model_id=red.model,
    )
    probe("PATCH", f"{v2}/registered-models/update", body=model | {"description": "x"})
    probe("GET", f"{v2}/registered-models/get", model)
    probe("GET", f"{v2}/registered-models/get-latest-versions", model)
    probe("POST", f"{v2}/registered-models/get-latest-versions", body=model)
    probe("POST", f"{v2}/registered-models/set-tag", body=model | {"key": "k", "value": "v"})
    probe("DELETE", f"{v2}/registered-models/delete-tag", body=model | {"key": "k"})
    probe("GET", f"{v2}/registered-models/alias", model | {"alias": "champion"})
    probe("POST", f"{v2}/registered-models/alias", body=version | {"alias": "mine"})
    probe("DELETE", f"{v2}/registered-models/alias", body=model | {"alias": "champion"})
    probe(
        "POST",
        f"{v2}/model-versions/create",
        body={"name": "mine", "run_id": red.run, "source": f"mlflow-artifacts:/{red.folder}/m"},
    )
    probe("PATCH", f"{v2}/model-versions/update", body=version | {"description": "x"})
    probe(
        "POST",
        f"{v2}/model-versions/transition-stage",
        body=version | {"stage": "Production", "archive_existing_versions": False},
    )
    probe("DELETE", f"{v2}/model-versions/delete", body=version)
    probe("GET", f"{v2}/model-versions/get", version)
    probe("GET", f"{v2}/model-versions/get-download-uri", version)
    probe("POST", f"{v2}/model-versions/set-tag", body=version | {"key": "k", "value": "v"})
    probe("DELETE", f"{v2}/model-versions/delete-tag", body=version | {"key": "k"})
    probe("GET", f"{v2}/traces", {"experiment_ids": red.experiment})
    probe("POST", f"{v2}/traces", body=exp | {"timestamp_ms": 1, "request_metadata": [], "tags": []})
    probe(
        "PATCH",
        f"{v2}/traces/<request_id>",
        body={"request_id": red.trace, "timestamp_ms": 1, "status": "OK", "request_metadata": [], "tags": []},
        request_id=red.trace,
    )
    probe("GET", f"{v2}/traces/<request_id>/info", request_id=red.trace)
    probe("PATCH", f"{v2}/traces/<request_id>/tags", body={"key": "k", "value": "v"}, request_id=red.trace)
    probe("DELETE", f"{v2}/traces/<request_id>/tags", body={"key": "k"}, request_id=red.trace)
    for version_of in (v2, v3):
        probe(
            "POST",
            f"{version_of}/traces/delete-traces",
            body={"experiment_id": mine, "request_ids": [red.trace], "max_timestamp_millis": None},
        )
        probe("GET", f"{version_of}/get-trace-artifact", {"request_id": red.trace})
    probe("POST", f"{v2}/traces/link-to-run", body={"trace_ids": [red.trace], "run_id": my_run})
    probe(
        "POST",
        f"{v2}/traces/link-prompts",
        body={"trace_id": red.trace, "prompt_versions": [{"name": "a", "version": "1"}]},
    )
    probe("POST", f"{v3}/traces", body={"trace": {"trace_info": trace_info(red.trace, mine)}})
    probe("GET", f"{v3}/traces/<trace_id>", trace_id=red.trace)
    probe("GET", f"{v3}/traces/get", {"trace_id": red.trace})
    probe("GET", f"{v3}/traces/batchGet", {"trace_ids": red.trace})
    probe("POST", f"{v3}/traces/batchGetInfos", body={"trace_ids": [red.trace]})
    place = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": red.experiment}}]
    probe("POST", f"{v3}/traces/search", body={"locations": place})
    probe(
        "POST",
        f"{v3}/traces/metrics",
        body={
            "experiment_ids": [red.experiment],
            "view_type": "TRACES",
            "metric_name": "trace_count",
            "aggregations": [{"aggregation_type": "COUNT"}],
        },
    )
    probe(
        "POST",
        f"{v3}/traces/calculate-filter-correlation",
        body={"experiment_ids": [red.experiment], "filter_string1": "tags.a = 'b'", "filter_string2": "tags.c = 'd'"},
    )
    probe("PATCH", f"{v3}/traces/<trace_id>/tags", body={"key": "k", "value": "v"}, trace_id=red.trace)
    probe("DELETE", f"{v3}/traces/<trace_id>/tags", body={"key": "k"}, trace_id=red.trace)
    said = {"assessment_name": "a", "source": {"source_type": "HUMAN"}, "feedback": {"value": 1}}
    probe("POST", f"{v3}/traces/<trace_id>/assessments", body={"assessment": said}, trace_id=red.trace)
    for method in ("GET", "PATCH", "DELETE"):
        probe(
            method,
            f"{v3}/traces/<trace_id>/assessments/<assessment_id>",
            body={"assessment": said, "update_mask": "feedback"} if method == "PATCH" else None,
            trace_id=red.trace,
            assessment_id=red.assessment,
        )
    probe("POST", f"{v3}/datasets/create", body={"name": "x", "experiment_ids": [red.experiment]})
    probe("GET", f"{v3}/datasets/search", {"experiment_ids": red.experiment})
    probe("POST", f"{v3}/datasets/search", body={"experiment_ids": [red.experiment]})
    for method in ("GET", "DELETE"):
        probe(method, f"{v3}/datasets/<dataset_id>", dataset_id=red.dataset)
    probe("GET", f"{v3}/datasets/<dataset_id>/records", dataset_id=red.dataset)
    probe("POST", f"{v3}/datasets/<dataset_id>/records", body={"records": "[]"}, dataset_id=red.dataset)
    probe("DELETE", f"{v3}/datasets/<dataset_id>/records", body={"dataset_record_ids": ["x"]}, dataset_id=red.dataset)
    probe("PATCH", f"{v3}/datasets/<dataset_id>/tags", body={"tags": "{}"}, dataset_id=red.dataset)
    probe("DELETE", f"{v3}/datasets/<dataset_id>/tags/<key>", dataset_id=red.dataset, key="k")
    probe("GET", f"{v3}/datasets/<dataset_id>/experiment-ids", dataset_id=red.dataset)
    for what in ("add", "remove"):
        probe(
            "POST",
            f"{v3}/datasets/<dataset_id>/{what}-experiments",
            body={"experiment_ids": [mine]},
            dataset_id=red.dataset,
        )
    probe("POST", f"{v3}/scorers/register", body=exp | {"name": "x", "serialized_scorer": "{}"})
    probe("GET", f"{v3}/scorers/list", exp)
    probe("GET", f"{v3}/scorers/versions", exp | model)
    probe("GET", f"{v3}/scorers/get", exp | model)
    probe("DELETE", f"{v3}/scorers/delete", body=exp | model)
    probe("GET", f"{v3}/workspaces/<workspace_name>", workspace_name=mlflow_name("Red_Team"))
    return found


NAME_NOBODY = {
    ("GET", "/"), ("GET", "/static-files/<path:path>"), ("GET", "/health"), ("GET", "/version"),
    ("GET", "/api/3.0/mlflow/server-info"),
}  # fmt: skip
"""Routes about the server itself."""

LISTS = {
    ("GET", "/api/3.0/mlflow/workspaces"): None,
    ("GET", "/api/2.0/mlflow/experiments/search"): {"max_results": 100},
    ("POST", "/api/2.0/mlflow/experiments/search"): {"max_results": 100},
    ("POST", "/api/2.0/mlflow/experiments/create"): {"name": f"{SECRET}-experiment"},
    ("GET", "/api/2.0/mlflow/registered-models/search"): {"max_results": 100},
    ("POST", "/api/2.0/mlflow/registered-models/create"): {"name": "mine"},
    ("GET", "/api/2.0/mlflow/model-versions/search"): {"max_results": 100},
    ("GET", "/api/2.0/mlflow-artifacts/artifacts"): None,
}
"""Routes that name nothing of another's; what they answer must not hold anything of it either."""

ELSEWHERE = {
    ("GET", "/graphql"), ("POST", "/graphql"), ("POST", "/v1/traces"),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/create/<path:artifact_path>"),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/complete/<path:artifact_path>"),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/abort/<path:artifact_path>"),
    ("GET", "/api/2.0/mlflow-artifacts/presigned/<path:artifact_path>"),
}  # fmt: skip
"""Routes with a test of their own below."""


def everything(engine) -> dict[str, set[tuple[str, ...]]]:
    """All rows of MLflow's database, as text."""
    meta = sa.MetaData()
    meta.reflect(engine)
    with engine.connect() as connection:
        return {
            name: {tuple(map(str, row)) for row in connection.execute(sa.select(table))}
            for name, table in meta.tables.items()
        }


def flask_routes() -> list[tuple[str, str]]:
    return [
        (method, rule.rule)
        for rule in flask_app.url_map.iter_rules()
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def as_json(body: Any) -> dict[str, Any]:
    """Also for methods that httpx gives no body, and without the header that MLflow then misses."""
    return {} if body is None else {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}


def empty(answer) -> bool:
    """An answer of 200 that lists nothing."""
    try:
        return answer.status_code == 200 and not any(answer.json().values())
    except ValueError:
        return False
