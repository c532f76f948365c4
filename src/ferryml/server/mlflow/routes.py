"""Which of MLflow's routes exist for Ferry's callers, and the right each needs. What is not listed is refused."""

from typing import Literal

Right = Literal["open", "read", "write", "curate"]
"""open: any caller with a token but a scorer; read: any role that reads; write: jobs and people who write;
curate: people who write, never a job."""

# Rules as MLflow's Flask application spells them; `/ajax-api/` counts as `/api/`.
_TABLE = """
open   GET    /
open   GET    /static-files/<path:path>
open   GET    /health
open   GET    /version
open   GET    /api/3.0/mlflow/server-info
read   GET    /api/3.0/mlflow/workspaces
read   GET    /api/3.0/mlflow/workspaces/<workspace_name>
read   GET    /graphql
read   POST   /graphql

write  POST   /api/2.0/mlflow/experiments/create
curate POST   /api/2.0/mlflow/experiments/delete
curate POST   /api/2.0/mlflow/experiments/restore
curate POST   /api/2.0/mlflow/experiments/update
read   GET    /api/2.0/mlflow/experiments/get
read   GET    /api/2.0/mlflow/experiments/get-by-name
read   GET    /api/2.0/mlflow/experiments/search
read   POST   /api/2.0/mlflow/experiments/search
read   POST   /api/2.0/mlflow/experiments/search-datasets
write  POST   /api/2.0/mlflow/experiments/set-experiment-tag
write  POST   /api/2.0/mlflow/experiments/delete-experiment-tag

write  POST   /api/2.0/mlflow/runs/create
write  POST   /api/2.0/mlflow/runs/update
write  POST   /api/2.0/mlflow/runs/delete
write  POST   /api/2.0/mlflow/runs/restore
write  POST   /api/2.0/mlflow/runs/log-metric
write  POST   /api/2.0/mlflow/runs/log-parameter
write  POST   /api/2.0/mlflow/runs/log-batch
write  POST   /api/2.0/mlflow/runs/log-model
write  POST   /api/2.0/mlflow/runs/log-inputs
write  POST   /api/2.0/mlflow/runs/outputs
write  POST   /api/2.0/mlflow/runs/set-tag
write  POST   /api/2.0/mlflow/runs/delete-tag
read   GET    /api/2.0/mlflow/runs/get
read   POST   /api/2.0/mlflow/runs/search
read   GET    /api/2.0/mlflow/metrics/get-history
read   GET    /api/2.0/mlflow/metrics/get-history-bulk
read   GET    /api/2.0/mlflow/metrics/get-history-bulk-interval

read   GET    /api/2.0/mlflow/artifacts/list
read   GET    /get-artifact
read   GET    /model-versions/get-artifact
write  POST   /api/2.0/mlflow/upload-artifact
read   GET    /api/2.0/mlflow-artifacts/artifacts
read   GET    /api/2.0/mlflow-artifacts/artifacts/<path:artifact_path>
write  PUT    /api/2.0/mlflow-artifacts/artifacts/<path:artifact_path>
write  DELETE /api/2.0/mlflow-artifacts/artifacts/<path:artifact_path>
write  POST   /api/2.0/mlflow-artifacts/mpu/create/<path:artifact_path>
write  POST   /api/2.0/mlflow-artifacts/mpu/complete/<path:artifact_path>
write  POST   /api/2.0/mlflow-artifacts/mpu/abort/<path:artifact_path>
read   GET    /api/2.0/mlflow-artifacts/presigned/<path:artifact_path>

write  POST   /api/2.0/mlflow/logged-models
read   POST   /api/2.0/mlflow/logged-models/search
read   GET    /api/2.0/mlflow/logged-models/<model_id>
write  PATCH  /api/2.0/mlflow/logged-models/<model_id>
curate DELETE /api/2.0/mlflow/logged-models/<model_id>
write  POST   /api/2.0/mlflow/logged-models/<model_id>/params
write  PATCH  /api/2.0/mlflow/logged-models/<model_id>/tags
write  DELETE /api/2.0/mlflow/logged-models/<model_id>/tags/<tag_key>
read   GET    /api/2.0/mlflow/logged-models/<model_id>/artifacts/directories
read   GET    /api/2.0/mlflow/logged-models/<model_id>/artifacts/files

write  POST   /api/2.0/mlflow/registered-models/create
write  PATCH  /api/2.0/mlflow/registered-models/update
read   GET    /api/2.0/mlflow/registered-models/get
read   GET    /api/2.0/mlflow/registered-models/search
read   GET    /api/2.0/mlflow/registered-models/get-latest-versions
read   POST   /api/2.0/mlflow/registered-models/get-latest-versions
write  POST   /api/2.0/mlflow/registered-models/set-tag
write  DELETE /api/2.0/mlflow/registered-models/delete-tag
read   GET    /api/2.0/mlflow/registered-models/alias
write  POST   /api/2.0/mlflow/registered-models/alias
write  DELETE /api/2.0/mlflow/registered-models/alias
write  POST   /api/2.0/mlflow/model-versions/create
write  PATCH  /api/2.0/mlflow/model-versions/update
write  POST   /api/2.0/mlflow/model-versions/transition-stage
curate DELETE /api/2.0/mlflow/model-versions/delete
read   GET    /api/2.0/mlflow/model-versions/get
read   GET    /api/2.0/mlflow/model-versions/get-download-uri
read   GET    /api/2.0/mlflow/model-versions/search
write  POST   /api/2.0/mlflow/model-versions/set-tag
write  DELETE /api/2.0/mlflow/model-versions/delete-tag

read   GET    /api/2.0/mlflow/traces
write  POST   /api/2.0/mlflow/traces
write  PATCH  /api/2.0/mlflow/traces/<request_id>
read   GET    /api/2.0/mlflow/traces/<request_id>/info
write  PATCH  /api/2.0/mlflow/traces/<request_id>/tags
write  DELETE /api/2.0/mlflow/traces/<request_id>/tags
curate POST   /api/2.0/mlflow/traces/delete-traces
write  POST   /api/2.0/mlflow/traces/link-to-run
write  POST   /api/2.0/mlflow/traces/link-prompts
read   GET    /api/2.0/mlflow/get-trace-artifact
read   GET    /api/3.0/mlflow/get-trace-artifact
write  POST   /v1/traces
write  POST   /api/3.0/mlflow/traces
read   GET    /api/3.0/mlflow/traces/<trace_id>
read   GET    /api/3.0/mlflow/traces/get
read   GET    /api/3.0/mlflow/traces/batchGet
read   POST   /api/3.0/mlflow/traces/batchGetInfos
read   POST   /api/3.0/mlflow/traces/search
read   POST   /api/3.0/mlflow/traces/metrics
read   POST   /api/3.0/mlflow/traces/calculate-filter-correlation
curate POST   /api/3.0/mlflow/traces/delete-traces
write  PATCH  /api/3.0/mlflow/traces/<trace_id>/tags
write  DELETE /api/3.0/mlflow/traces/<trace_id>/tags
write  POST   /api/3.0/mlflow/traces/<trace_id>/assessments
read   GET    /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
write  PATCH  /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>
write  DELETE /api/3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>

write  POST   /api/3.0/mlflow/datasets/create
read   GET    /api/3.0/mlflow/datasets/search
read   POST   /api/3.0/mlflow/datasets/search
read   GET    /api/3.0/mlflow/datasets/<dataset_id>
curate DELETE /api/3.0/mlflow/datasets/<dataset_id>
read   GET    /api/3.0/mlflow/datasets/<dataset_id>/records
write  POST   /api/3.0/mlflow/datasets/<dataset_id>/records
write  DELETE /api/3.0/mlflow/datasets/<dataset_id>/records
write  PATCH  /api/3.0/mlflow/datasets/<dataset_id>/tags
write  DELETE /api/3.0/mlflow/datasets/<dataset_id>/tags/<key>
read   GET    /api/3.0/mlflow/datasets/<dataset_id>/experiment-ids
write  POST   /api/3.0/mlflow/datasets/<dataset_id>/add-experiments
write  POST   /api/3.0/mlflow/datasets/<dataset_id>/remove-experiments

write  POST   /api/3.0/mlflow/scorers/register
read   GET    /api/3.0/mlflow/scorers/list
read   GET    /api/3.0/mlflow/scorers/versions
read   GET    /api/3.0/mlflow/scorers/get
curate DELETE /api/3.0/mlflow/scorers/delete
"""

WHY_NOT = {
    "/mlflow/registered-models/delete": "Models are kept: archive them with `ferry model archive`.",
    "/mlflow/registered-models/rename": "Models keep their names: register a new one instead.",
    "/mlflow/workspaces": "Workspaces are made with `ferry workspace create`.",
    "/mlflow/webhooks": "Use the `notify` of an automation.",
    "/mlflow/gateway": "Ferry does not run MLflow's AI gateway.",
    "/mlflow/jobs": "Ferry runs jobs itself: `ferry job create`.",
}
"""Hints for refused routes that people will miss, by what the path contains."""


def canonical(rule: str) -> str:
    """MLflow serves its interface a second time for browsers; both need the same right."""
    return "/api/" + rule.removeprefix("/ajax-api/") if rule.startswith("/ajax-api/") else rule


def _parse(table: str) -> dict[tuple[str, str], Right]:
    rights: dict[tuple[str, str], Right] = {}
    names: dict[str, Right] = {"open": "open", "read": "read", "write": "write", "curate": "curate"}
    for line in table.split("\n"):
        if line:
            right, method, rule = line.split()
            rights[method, rule] = names[right]
    return rights


RIGHTS = _parse(_TABLE)


def right_for(method: str, rule: str) -> Right | None:
    """None: refused for everyone."""
    return RIGHTS.get(("GET" if method == "HEAD" else method, canonical(rule)))


def hint_for(path: str) -> str:
    return next((hint for part, hint in WHY_NOT.items() if part in path), "See docs/mlflow.md for what is offered.")
