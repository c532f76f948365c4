"""The port `Tracking`: what Ferry's use cases ask of MLflow, on its stores and without HTTP."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from mlflow.entities import LifecycleStage, RunStatus, SourceType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_USER

from ferryml.control.ports import ModelVersion
from ferryml.domain.errors import NotFound
from ferryml.server.mlflow import models
from ferryml.server.mlflow.callers import JOB_TAG, Caller
from ferryml.server.mlflow.context import inside
from ferryml.server.mlflow.foreign import translated
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.replay import Replay, journalled

LONGEST_TAG = 5000
"""Characters of a tag's value; MLflow's own limit is 8000."""

MIB = 1024**2


class MlflowTracking:
    """Implements `control.ports.Tracking`. Thread-safe; every method may wait for the database.

    Args:
        now: the clock.
        limit: largest journalled request body, in bytes.
        file_limit: largest journalled file, in bytes.
    """

    def __init__(
        self, host: MlflowHost, now: Callable[[], datetime], limit: int = 16 * MIB, file_limit: int = 100 * 1024 * MIB
    ) -> None:
        self._host = host
        self._now = now
        self._replay = Replay(host, limit, file_limit)

    def ensure_workspace(self, workspace: str) -> None:
        with translated():
            self._host.ensure_workspace(workspace)

    def create_run(self, workspace: str, experiment: str, job: str, tags: Mapping[str, str]) -> str:
        """The run's id follows from workspace and job, so asking twice, or from two replicas, makes one run."""
        run_id = run_id_of(workspace, job)
        with self._in(workspace):
            if self._run(run_id) is None:
                self._insert(run_id, self._experiment(experiment), {MLFLOW_RUN_NAME: job, **tags, JOB_TAG: job})
        return run_id

    def end_run(self, workspace: str, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """A run that its user deleted stays as it is."""
        with self._in(workspace):
            run = self._run(run_id)
            if run is None:
                raise NotFound("NotFound", f"There is no run {run_id} in workspace {workspace}.")
            if run.info.lifecycle_stage == LifecycleStage.ACTIVE and run.info.status != status:
                self._host.tracking.update_run_info(run_id, RunStatus.from_string(status), self._now_ms(), None)

    def metrics(self, workspace: str, run_id: str) -> dict[str, float]:
        """Latest value of each; may hold NaN."""
        with self._in(workspace):
            return dict(self._host.tracking.get_run(run_id).data.metrics)

    def params(self, workspace: str, run_id: str) -> dict[str, str]:
        with self._in(workspace):
            return dict(self._host.tracking.get_run(run_id).data.params)

    def artifacts(self, workspace: str, run_id: str, path: str) -> str:
        """MLflow 3 keeps a logged model beside its run, under an id of its own; `runs:/RUN/NAME` still means it."""
        with self._in(workspace):
            run = self._run(run_id)
            if run is None:
                raise NotFound("NotFound", f"There is no run {run_id[:80]} in workspace {workspace}.")
            own = _joined(models.source_path(workspace, run.info.artifact_uri), path)
            if self._host.tree.below(workspace, own):
                return own
            name, _, inside_it = path.partition("/")
            for model in self._host.tracking.search_logged_models([run.info.experiment_id], max_results=1000):
                if model.source_run_id == run_id and model.name == name:
                    return _joined(models.source_path(workspace, model.artifact_location), inside_it)
            return own

    def register_model(self, workspace: str, name: str, version: str, source: str, run_id: str) -> None:
        wanted = ModelVersion(
            workspace=workspace, name=name, version=version, source=source, run_id=run_id, created_ms=self._now_ms()
        )
        with self._in(workspace):
            models.register(self._host.registry, wanted)

    def model_versions(self, workspace: str, since_ms: int) -> list[ModelVersion]:
        """Without those that Ferry registered. Clocks differ and commits overtake, so let `since_ms` overlap."""
        with self._in(workspace):
            return models.fresh(self._host.registry, workspace, since_ms)

    def call(
        self, workspace: str, method: str, path: str, content_type: str, body: bytes, job: str = ""
    ) -> tuple[int, bytes]:
        """With `job`, what a job's token may not do is refused here too."""
        caller = Caller(workspace, "data-scientist", job or None)
        with translated():
            return self._replay.call(caller, journalled(method, path, content_type, body))

    def open_file(self, workspace: str, path: str) -> tuple[int, Iterator[bytes]]:
        """Size and content of `GET api/2.0/mlflow-artifacts/artifacts/PATH`, for answers too large to hold."""
        return self._replay.open_file(workspace, path)

    @contextmanager
    def _in(self, workspace: str) -> Iterator[None]:
        with translated():
            self._host.ensure_workspace(workspace)
            with inside(workspace):
                yield

    def _run(self, run_id: str) -> Any:
        try:
            return self._host.tracking.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _experiment(self, name: str) -> Any:
        store = self._host.tracking
        found = store.get_experiment_by_name(name)
        if found is None:
            try:
                store.create_experiment(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = store.get_experiment_by_name(name)
        if found.lifecycle_stage == LifecycleStage.DELETED:
            store.restore_experiment(found.experiment_id)
        return found

    def _insert(self, run_id: str, experiment: Any, tags: Mapping[str, str]) -> None:
        """MLflow's `create_run` would choose the id; the row is otherwise as it makes it."""
        run = SqlRun(
            run_uuid=run_id, name=tags[MLFLOW_RUN_NAME], experiment_id=experiment.experiment_id,
            artifact_uri=f"{experiment.artifact_location}/{run_id}/artifacts", user_id=tags.get(MLFLOW_USER, ""),
            status=RunStatus.to_string(RunStatus.SCHEDULED), start_time=self._now_ms(), end_time=None,
            deleted_time=None, source_type=SourceType.to_string(SourceType.UNKNOWN), source_name="",
            entry_point_name="", source_version="", lifecycle_stage=LifecycleStage.ACTIVE,
        )  # fmt: skip
        run.tags = [SqlTag(key=key, value=value[:LONGEST_TAG]) for key, value in tags.items()]
        try:
            with self._host.tracking.ManagedSessionMaker(read_only=False) as session:
                session.add(run)
        except MlflowException:
            if self._run(run_id) is None:
                raise

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _joined(folder: str, path: str) -> str:
    return f"{folder}/{path}".strip("/")


def run_id_of(workspace: str, job: str) -> str:
    """32 hex digits, as MLflow's own."""
    return hashlib.sha256(f"ferry-run\0{workspace}\0{job}".encode()).hexdigest()[:32]
