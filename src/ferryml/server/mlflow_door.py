"""Which workspace a token opens in MLflow."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers

from ferryml.control import tokens
from ferryml.control.context import Deps
from ferryml.control.rows import missing
from ferryml.domain.access import EVERYWHERE
from ferryml.domain.errors import Unauthenticated
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.context import mlflow_name

DEFAULT = "default"


def authoriser(deps: Deps) -> Callable[[Headers], Caller]:
    """For `MlflowApp`: a token of one workspace opens that one; of all, the one that the header names."""

    def authorise(headers: Headers) -> Caller:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Unauthenticated", "no token came with the request", "Set MLFLOW_TRACKING_TOKEN.")
        caller = tokens.verify(deps, token.strip())
        if caller.workspace != EVERYWHERE:
            return Caller(caller.workspace, caller.role)
        return Caller(_named(deps, headers.get("x-mlflow-workspace", "").strip() or DEFAULT), caller.role)

    return authorise


def _named(deps: Deps, wanted: str) -> str:
    with deps.store.read() as tx:
        rows = tx.find("workspace")
    for row in rows:
        if wanted in (row.name, mlflow_name(row.name)):
            return row.name
    raise missing("workspace", "", wanted)
