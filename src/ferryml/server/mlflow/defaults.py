"""Clients that name no experiment say "0", which is the default workspace's; elsewhere it means their own default."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from ferryml.server.mlflow.wsgi import Request

DEFAULT_ID = "0"
_KEYS = ("experiment_id", "experimentId", "experiment_ids", "experimentIds")
_HEADER = "x-mlflow-experiment-id"

DefaultExperiment = Callable[[str], str]
"""Id of the experiment `Default` of a Ferry workspace; makes it when there is none."""


def at_home(request: Request, body: Any, own: str) -> Request:
    """The request with `own` wherever it names experiment 0."""
    query = [(key, own if key in _KEYS and value == DEFAULT_ID else value) for key, value in parse_qsl(request.query)]
    headers = dict(request.headers)
    if headers.get(_HEADER) == DEFAULT_ID:
        headers[_HEADER] = own
    raw = request.body if body is None else json.dumps(_renumbered(body, own)).encode()
    return replace(request, query=urlencode(query), headers=headers, body=raw)


def _renumbered(value: Any, own: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _own(inner, own) if key in _KEYS else _renumbered(inner, own) for key, inner in value.items()}
    return [_renumbered(inner, own) for inner in value] if isinstance(value, list) else value


def _own(value: Any, own: str) -> Any:
    if isinstance(value, list):
        return [_own(inner, own) for inner in value]
    return own if str(value) == DEFAULT_ID else value
