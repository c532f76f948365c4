"""Builds the one MLflow of this process: its stores, its globals, its Flask application."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import mlflow.server as mlflow_server
import sqlalchemy
from mlflow.entities import Experiment, Workspace
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.server import handlers, workspace_helpers
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
from mlflow.store.db import utils as database
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore as TrackingStore
from mlflow.tracking._tracking_service import utils as tracking_service

from ferryml.domain.errors import Defect, NotFound
from ferryml.server.mlflow.context import current, inside, mlflow_name
from ferryml.server.mlflow.environment import ARTIFACT_DESTINATION, ARTIFACT_ROOT
from ferryml.server.mlflow.guard import Guard
from ferryml.server.mlflow.repository import TreeRepository
from ferryml.server.mlflow.tree import ArtifactTree

SCHEME = "ferry"
"""Of the tracking URI that MLflow code of this process sees; the database's own would land in the environment."""

_SCHEMA_LOCK = 0x6665727279  # "ferry"; replicas that start together migrate one after the other


class GuardedTrackingStore(TrackingStore):
    """Spans arrive as protobuf, which the guard before MLflow does not read; so their traces are checked here."""

    guard: Guard

    def log_spans(self, location: str, spans: list[Any], tracking_uri: str | None = None) -> list[Any]:
        try:
            self.guard.own_workspace(current(), [("trace", span.trace_id) for span in spans])
        except NotFound as error:
            raise MlflowException(error.message, error_code=RESOURCE_DOES_NOT_EXIST) from error
        stored: list[Any] = super().log_spans(location, spans, tracking_uri=tracking_uri)
        return stored


class MlflowHost:
    """MLflow keeps its stores in module globals, so there is one host per process: the last one made.

    Args:
        database_url: MLflow's own database, a SQLAlchemy URL (sqlite or postgresql+psycopg). Migrated here.
        tree: where artifact files live.
    """

    def __init__(self, database_url: str, tree: ArtifactTree) -> None:
        self.tree = tree
        self.engine = _engine(database_url)
        _migrate(self.engine)
        # Both stores would otherwise open a pool of their own on the same database.
        TrackingStore._engine_map[database_url] = self.engine
        RegistryStore._engine_map[database_url] = self.engine
        self.guard = Guard(self.engine)
        stores: Any = GuardedTrackingStore
        self.tracking: Any = stores(database_url, ARTIFACT_ROOT)
        self.tracking.guard = self.guard
        self.registry: Any = RegistryStore(database_url)
        self.workspaces: Any = self.tracking._get_workspace_provider_instance()
        self._known: set[str] = set()
        self._defaults: dict[str, str] = {}
        self._knowing = threading.Lock()
        self._install()

    @property
    def flask(self) -> Any:
        """The WSGI application. Raises Defect when a later host took MLflow's globals over."""
        if handlers._tracking_store is not self.tracking:
            raise Defect("Internal", "Another MLflow was built in this process.")
        return mlflow_server.app

    def ensure_workspace(self, workspace: str) -> None:
        """Idempotent, also between replicas."""
        name = mlflow_name(workspace)
        if name in self._known:
            return
        with self._knowing:
            try:
                self.workspaces.get_workspace(name)
            except MlflowException:
                self._create_workspace(name, workspace)
            self._known.add(name)

    def default_experiment(self, workspace: str) -> str:
        """Id of the workspace's experiment `Default`, where MLflow's clients write who name none."""
        if workspace not in self._defaults:
            with inside(workspace):
                found = self.tracking.get_experiment_by_name(Experiment.DEFAULT_EXPERIMENT_NAME)
                self._defaults[workspace] = found.experiment_id if found else self._create_default()
        return self._defaults[workspace]

    def _create_default(self) -> str:
        try:
            return str(self.tracking.create_experiment(Experiment.DEFAULT_EXPERIMENT_NAME))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.tracking.get_experiment_by_name(Experiment.DEFAULT_EXPERIMENT_NAME).experiment_id)

    def _create_workspace(self, name: str, workspace: str) -> None:
        try:
            self.workspaces.create_workspace(Workspace(name=name, description=f"Ferry workspace {workspace}"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _install(self) -> None:
        repository = partial(TreeRepository, self.tree)
        # The only kinds of place that this server reads or writes on anybody's word: no local files, no dialling out.
        _artifact_repository_registry._registry.clear()
        _artifact_repository_registry.register("ferry-artifacts", repository)
        _artifact_repository_registry.register("mlflow-artifacts", repository)
        # Searching runs would load MLflow's own accounts (and a second web framework's worth of memory) to skip them.
        modules: Any = sys.modules
        modules["mlflow.server.auth"] = None
        globals_: Any = handlers
        globals_._artifact_repo = repository(ARTIFACT_DESTINATION)
        globals_._tracking_store = self.tracking
        globals_._model_registry_store = self.registry
        workspace_helpers._workspace_store = self.workspaces
        tracking_service._register(SCHEME, lambda store_uri, artifact_uri: handlers._tracking_store)
        # MLflow remembers stores by address, so two hosts must not share one.
        service: Any = tracking_service
        service._tracking_uri = f"{SCHEME}:/{id(self)}"


def _engine(url: str) -> sqlalchemy.Engine:
    engine: sqlalchemy.Engine = database.create_sqlalchemy_engine_with_retry(url)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # Kept in the file: readers no longer wait for the writer.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return engine


def _migrate(engine: sqlalchemy.Engine) -> None:
    with _alone(engine):
        database._safe_initialize_tables(engine)
        if database._get_schema_version(engine) != database._get_latest_schema_revision():
            database._upgrade_db(engine)


@contextmanager
def _alone(engine: sqlalchemy.Engine) -> Iterator[None]:
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_SCHEMA_LOCK})")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_SCHEMA_LOCK})")
