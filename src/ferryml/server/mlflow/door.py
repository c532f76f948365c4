"""Decides about each MLflow call before MLflow sees it: known route, right, ids, tags. No sockets in here."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, TooLarge
from ferryml.domain.finite import refuse_constant
from ferryml.server.mlflow.callers import CHILD_TAG, Caller, require
from ferryml.server.mlflow.context import mlflow_name
from ferryml.server.mlflow.defaults import DEFAULT_ID, DefaultExperiment, at_home
from ferryml.server.mlflow.guard import Guard, Id, mentioned, refuse_our_tags
from ferryml.server.mlflow.routes import Right, canonical, hint_for, right_for
from ferryml.server.mlflow.wsgi import Request

SPANS = "/v1/traces"
"""OpenTelemetry's route; the only one that is not Flask's."""

_MADE_BY_JOBS = {"/api/2.0/mlflow/runs/create", "/api/2.0/mlflow/logged-models"}
_OWN_ONLY = ("/api/2.0/mlflow/runs/", "/api/2.0/mlflow/logged-models/", "/api/2.0/mlflow/upload-artifact")
_ERRORS = {
    400: "INVALID_PARAMETER_VALUE", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS", 413: "INVALID_PARAMETER_VALUE", 503: "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip


@dataclass(frozen=True)
class Route:
    """Where a request goes, as MLflow's own router sees it."""

    rule: str
    """Canonical: `/api/...`, also for calls of browsers."""
    right: Right
    arguments: Mapping[str, Any]


class Door:
    """One per MLflow.

    Args:
        flask: MLflow's Flask application, asked for its routes.
        limit: largest request body that is not a file, in bytes, also after decompression.
        default: called for clients that name no experiment.
    """

    def __init__(self, flask: Any, guard: Guard, limit: int, default: DefaultExperiment) -> None:
        self._default = default
        self._routes = flask.url_map.bind("ferry")
        self._guard = guard
        self.limit = limit

    def route(self, method: str, path: str) -> Route:
        """Raises NotFound for what MLflow has not, Forbidden for what Ferry does not offer."""
        if path == SPANS and method == "POST":
            return Route(SPANS, "write", {})
        try:
            rule, arguments = self._routes.match(path, method=method, return_rule=True)
        except (RequestRedirect, HTTPException) as error:
            raise NotFound("NotFound", f"MLflow has no {method} {path}.") from error
        right = right_for(method, rule.rule)
        if right is None:
            raise Forbidden("Forbidden", f"Ferry does not offer {method} {path} of MLflow.", hint_for(path))
        return Route(canonical(rule.rule), right, arguments)

    def admit(self, caller: Caller, route: Route, request: Request) -> Request:
        """Everything about the content; returns the request to pass on.

        Raises:
            Forbidden, NotFound: rights, ids of other workspaces, other jobs' runs, tags of ours.
        """
        require(caller, route.right)
        if route.rule == SPANS:
            return self._spans(caller, request)
        body = _json(request.body)
        ids = mentioned(body, parse_qs(request.query), route.arguments)
        if self._needs_default(caller, ids):
            request = at_home(request, body, self._default(caller.workspace))
            body = _json(request.body)
        query = parse_qs(request.query, keep_blank_values=True)
        ids = mentioned(body, query, route.arguments)
        self._guard.own_workspace(caller.workspace, ids)
        if route.right == "read":
            return request
        refuse_our_tags(body, query, route.arguments)
        if caller.job is not None and (route.rule.startswith(_OWN_ONLY) or route.rule in _MADE_BY_JOBS):
            self._guard.own_job(caller, ids)
        if caller.job is not None and route.rule in _MADE_BY_JOBS and isinstance(body, dict):
            return _with_tag(request, body, caller.job)
        return request

    def _needs_default(self, caller: Caller, ids: set[Id]) -> bool:
        return ("experiment", DEFAULT_ID) in ids and mlflow_name(caller.workspace) != DEFAULT_WORKSPACE_NAME

    def _spans(self, caller: Caller, request: Request) -> Request:
        ids = _span_ids(request)
        if self._needs_default(caller, ids):
            request = at_home(request, None, self._default(caller.workspace))
            ids = _span_ids(request)
        self._guard.own_workspace(caller.workspace, ids)
        self._guard.own_job(caller, ids)
        encoding = request.headers.get("content-encoding", "")
        if not encoding:
            return request
        headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
        return replace(request, headers=headers, body=_inflate(request.body, encoding, self.limit))


def workspace_header(caller: Caller, headers: Mapping[str, str]) -> None:
    """Raises Forbidden when a client names another workspace than its token is for."""
    named = headers.get("x-mlflow-workspace", "").strip()
    if named and named not in (caller.workspace, mlflow_name(caller.workspace)):
        raise Forbidden("Forbidden", f"This token is not for workspace {named}.", "Unset MLFLOW_WORKSPACE.")


def error_body(error: FerryError) -> dict[str, Any]:
    """What MLflow's clients understand, and Ferry's code beside it."""
    text = f"{error.message} {error.hint}".strip()
    return {"error_code": _ERRORS.get(error.status, "INTERNAL_ERROR"), "message": text, "code": error.code}


def _span_ids(request: Request) -> set[Id]:
    names = {"experiment_id": "x-mlflow-experiment-id", "run_id": "x-mlflow-run-id"}
    return mentioned({key: request.headers[name] for key, name in names.items() if name in request.headers})


def _json(body: bytes) -> Any:
    """As MLflow reads it: whatever the content type says, and twice when an old client encoded twice."""
    try:
        value = json.loads(body, parse_constant=refuse_constant)
        return json.loads(value, parse_constant=refuse_constant) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _with_tag(request: Request, body: dict[str, Any], job: str) -> Request:
    tags = body.get("tags")
    tagged = [*(tags if isinstance(tags, list) else []), {"key": CHILD_TAG, "value": job}]
    return replace(request, body=json.dumps({**body, "tags": tagged}).encode())


def _inflate(body: bytes, encoding: str, limit: int) -> bytes:
    try:
        engine = zlib.decompressobj({"gzip": 31, "deflate": 15}[encoding.lower()])
        plain = engine.decompress(body, limit + 1)
    except (KeyError, zlib.error) as error:
        raise Refused("BadRequest", f"The body is not {encoding}.", "Send it plain or with gzip.") from error
    if len(plain) > limit:
        raise TooLarge("UploadTooLarge", f"A request may have at most {limit} bytes.")
    if not engine.eof:
        raise Refused("BadRequest", f"The body is not the whole of a {encoding} stream.", "Send it again.")
    return plain
