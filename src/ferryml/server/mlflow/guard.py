"""Closes what MLflow's workspaces leave open: every id that a request mentions must be the caller's workspace's.

MLflow scopes most of its queries by workspace but not all (a metric may name any logged model, a link any run). So each
request is searched for ids before MLflow sees it. Ids unknown to everyone pass: MLflow answers about those itself.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import sqlalchemy as sa
from mlflow.store.tracking.dbmodels.models import (
    SqlEvaluationDataset,
    SqlExperiment,
    SqlLoggedModel,
    SqlLoggedModelTag,
    SqlRun,
    SqlTag,
    SqlTraceInfo,
)

from ferryml.domain.errors import Forbidden, NotFound
from ferryml.server.mlflow.callers import CHILD_TAG, JOB_TAG, OURS, Caller
from ferryml.server.mlflow.context import mlflow_name

Noun = Literal["experiment", "run", "model", "trace", "dataset"]
Id = tuple[Noun, str]

_KEYS: dict[str, Noun] = {
    "experiment_id": "experiment", "experiment_ids": "experiment",
    "run_id": "run", "run_ids": "run", "run_uuid": "run", "source_run_id": "run",
    "model_id": "model", "model_ids": "model",
    "trace_id": "trace", "trace_ids": "trace", "request_id": "trace", "request_ids": "trace",
    "dataset_id": "dataset", "dataset_ids": "dataset",
}  # fmt: skip

_REMEMBERED = 50_000
"""Homes of ids kept in memory; an id never moves, so they cannot go stale."""

_experiment_home: Any = SqlExperiment.workspace
_HOMES: dict[Noun, tuple[Any, Any]] = {
    "experiment": (SqlExperiment.experiment_id, sa.select(SqlExperiment.experiment_id, _experiment_home)),
    "run": (SqlRun.run_uuid, sa.select(SqlRun.run_uuid, _experiment_home).join(
        SqlExperiment, SqlExperiment.experiment_id == SqlRun.experiment_id)),
    "model": (SqlLoggedModel.model_id, sa.select(SqlLoggedModel.model_id, _experiment_home).join(
        SqlExperiment, SqlExperiment.experiment_id == SqlLoggedModel.experiment_id)),
    "trace": (SqlTraceInfo.request_id, sa.select(SqlTraceInfo.request_id, _experiment_home).join(
        SqlExperiment, SqlExperiment.experiment_id == SqlTraceInfo.experiment_id)),
    "dataset": (SqlEvaluationDataset.dataset_id,
                sa.select(SqlEvaluationDataset.dataset_id, SqlEvaluationDataset.workspace)),
}  # fmt: skip


class Guard:
    """Asks MLflow's database whose an id is."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._homes: dict[Id, str] = {}
        self._owners: dict[Id, frozenset[str]] = {}
        self._lock = threading.Lock()

    def own_workspace(self, workspace: str, ids: Iterable[Id]) -> None:
        """Raises NotFound when one of them is another workspace's."""
        home = mlflow_name(workspace)
        for noun, key in set(ids):
            if self._home(noun, key) not in (None, home):
                raise NotFound("NotFound", f"There is no {noun} {key} in workspace {workspace}.")

    def exists(self, workspace: str, noun: Noun, key: str) -> bool:
        return self._home(noun, key) == mlflow_name(workspace)

    def own_job(self, caller: Caller, ids: Iterable[Id]) -> None:
        """Raises Forbidden when a job's token reaches for runs or logged models that the job did not make."""
        if caller.job is None:
            return
        for noun, key in ids:
            if noun in ("run", "model") and caller.job not in self._owner(noun, key) and self._home(noun, key):
                raise Forbidden("Forbidden", f"The {noun} {key} is not of job {caller.job}.", "Write to its own runs.")

    def _home(self, noun: Noun, key: str) -> str | None:
        if (noun, key) in self._homes:
            return self._homes[noun, key]
        if noun == "experiment" and not _is_number(key):
            return None
        column, query = _HOMES[noun]
        with self._engine.connect() as connection:
            row = connection.execute(query.where(column == (int(key) if noun == "experiment" else key))).first()
        if row is None:
            return None
        self._remember(self._homes, (noun, key), str(row[1]))
        return str(row[1])

    def _owner(self, noun: Noun, key: str) -> frozenset[str]:
        if (noun, key) in self._owners:
            return self._owners[noun, key]
        query: Any = sa.select(SqlTag.value).where(SqlTag.run_uuid == key, SqlTag.key.in_((JOB_TAG, CHILD_TAG)))
        if noun == "model":
            query = sa.select(SqlLoggedModelTag.tag_value).where(
                SqlLoggedModelTag.model_id == key, SqlLoggedModelTag.tag_key == CHILD_TAG
            )
        with self._engine.connect() as connection:
            owners = frozenset(str(value) for value in connection.execute(query).scalars())
        if owners:
            self._remember(self._owners, (noun, key), owners)
        return owners

    def _remember(self, memory: dict[Id, Any], key: Id, value: Any) -> None:
        with self._lock:
            if len(memory) >= _REMEMBERED:
                memory.clear()
            memory[key] = value


def mentioned(body: Any, *pairs: Mapping[str, Any]) -> set[Id]:
    """Ids in a JSON body, path arguments and query, under any spelling that MLflow's parser takes."""
    return {(noun, key) for name, value in _items([body, *pairs]) if (noun := _KEYS.get(name)) for key in _texts(value)}


def refuse_our_tags(body: Any, *pairs: Mapping[str, Any]) -> None:
    """Raises Forbidden when a request writes or deletes a tag that only Ferry writes."""
    for name, value in _items([body, *pairs]):
        if name.startswith(OURS) or (name in ("key", "tag_key") and any(t.startswith(OURS) for t in _texts(value))):
            raise Forbidden("Forbidden", f"Tags that begin with {OURS} are Ferry's own.", "Choose another name.")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys at any depth, in snake case, with their values."""
    rest = [value]
    while rest:
        here = rest.pop()
        if isinstance(here, Mapping):
            for name, inner in here.items():
                yield _snake(str(name)), inner
            rest.extend(here.values())
        elif isinstance(here, list | tuple):
            rest.extend(here)


def _texts(value: Any) -> list[str]:
    return [
        str(item) for item in (value if isinstance(value, list | tuple) else [value]) if isinstance(item, str | int)
    ]


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
