"""Applies MLflow calls that a site's gateway journalled while it was offline; twice changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import sqlalchemy as sa
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun, SqlTag

from ferryml.domain.errors import FerryError
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.context import inside, mlflow_name
from ferryml.server.mlflow.door import SPANS, Door, error_body
from ferryml.server.mlflow.files import PREFIX, Files
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.spans import forward_now, spans_app
from ferryml.server.mlflow.wsgi import Request, call_whole

PROVISIONAL_TAG = "ferry.provisional"
"""On a run made by a journalled call: the id that the gateway gave meanwhile. A replay finds the run by it."""

_SPAN_HEADERS = ("x-mlflow-experiment-id", "x-mlflow-run-id", "content-encoding")
_CREATE_RUN = "/api/2.0/mlflow/runs/create"


class Replay:
    """Calls pass the same door as those from the network.

    Args:
        limit: largest request body, in bytes.
        file_limit: largest file, in bytes.
    """

    def __init__(self, host: MlflowHost, limit: int, file_limit: int) -> None:
        self._host = host
        self._door = Door(host.flask, host.guard, limit, host.default_experiment)
        self._files = Files(host.tree, host.guard, file_limit)
        self._spans = spans_app()

    def call(self, caller: Caller, request: Request) -> tuple[int, bytes]:
        """HTTP status and body, also for refusals."""
        self._host.ensure_workspace(caller.workspace)
        try:
            with inside(caller.workspace):
                return self._apply(caller, request)
        except FerryError as error:
            return error.status, json.dumps(error_body(error)).encode()

    def _apply(self, caller: Caller, request: Request) -> tuple[int, bytes]:
        route = self._door.route(request.method, request.path)
        if route.rule.startswith(PREFIX):
            self._door.admit(caller, route, replace(request, body=b""))
            return 200, self._file(caller, request, str(route.arguments.get("artifact_path", "")))
        provisional = ""
        if route.rule == _CREATE_RUN:
            request, provisional = _without_provisional(request)
        request = self._door.admit(caller, route, request)
        if route.rule == SPANS:
            return forward_now(self._spans, request)
        if provisional:
            known = self._run_of(caller.workspace, provisional)
            if known is not None:
                request = Request("GET", "/api/2.0/mlflow/runs/get", f"run_id={known}")
            else:
                request = _with_provisional(request, provisional)
        answer, body = call_whole(self._host.flask, request)
        return answer.status, body

    def open_file(self, workspace: str, path: str) -> tuple[int, Iterator[bytes]]:
        """Size and content of one artifact. Raises NotFound, Refused (PathEscapes)."""
        file = self._files.found(workspace, path)
        return file.size, self._host.tree.read(file)

    def _file(self, caller: Caller, request: Request, path: str) -> bytes:
        if request.method == "PUT":
            self._files.upload(caller, path, iter([request.body]))
            return b"{}"
        if request.method == "DELETE":
            self._files.delete(caller, path)
            return b"{}"
        if not path:
            return bytes(self._files.list(caller, request.query).body)
        return b"".join(self.open_file(caller.workspace, path)[1])

    def _run_of(self, workspace: str, provisional: str) -> str | None:
        query: Any = (
            sa.select(SqlTag.run_uuid)
            .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
            .join(SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)
            .where(SqlTag.key == PROVISIONAL_TAG, SqlTag.value == provisional)
            .where(SqlExperiment.workspace == mlflow_name(workspace))
        )
        with self._host.engine.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)


def journalled(method: str, path: str, content_type: str, body: bytes) -> Request:
    """A request from the journal; `path` is below /mlflow, quoted, with its query.

    A journal keeps no headers, so what spans say in headers (`x-mlflow-experiment-id`) stands in their query.
    """
    bare, _, query = path.partition("?")
    headers = {"content-type": content_type}
    if "/" + bare.lstrip("/") == SPANS:
        headers |= {name: value for name, value in parse_qsl(query) if name in _SPAN_HEADERS}
    return Request(method, "/" + unquote(bare).lstrip("/"), query, headers, body)


def _without_provisional(request: Request) -> tuple[Request, str]:
    body = _object(request.body)
    tags = body.get("tags")
    if not isinstance(tags, list):
        return request, ""
    ours = [tag for tag in tags if isinstance(tag, dict) and tag.get("key") == PROVISIONAL_TAG]
    if not ours:
        return request, ""
    rest = {**body, "tags": [tag for tag in tags if tag not in ours]}
    return replace(request, body=json.dumps(rest).encode()), str(ours[0].get("value", ""))


def _with_provisional(request: Request, provisional: str) -> Request:
    body = _object(request.body)
    tags = [*(body.get("tags") or []), {"key": PROVISIONAL_TAG, "value": provisional}]
    return replace(request, body=json.dumps({**body, "tags": tags}).encode())


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
