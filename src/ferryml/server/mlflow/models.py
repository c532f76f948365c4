"""Model versions, both ways: what MLflow registered for Ferry to adopt, what Ferry registered for MLflow to load."""

from typing import Any
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag, SqlRegisteredModel

from ferryml.control.ports import ModelVersion
from ferryml.domain.errors import Conflict, Refused
from ferryml.server.mlflow.context import mlflow_name
from ferryml.server.mlflow.environment import ARTIFACT_ROOT
from ferryml.server.mlflow.tree import clean, scoped

VERSION_TAG = "ferry.version"
"""On MLflow model versions that are Ferry models: Ferry's name of the version."""

_PROMPT_TAG = "mlflow.prompt.is_prompt"
_LARGEST = 2**31 - 1


def source_uri(workspace: str, path: str) -> str:
    """What MLflow's clients download from: a folder of the workspace's artifact tree."""
    return f"{ARTIFACT_ROOT}workspaces/{mlflow_name(workspace)}/{clean(path)}"


def source_path(workspace: str, uri: str) -> str:
    """The folder in the tree; empty when the address is not in this workspace's tree."""
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts" or parts.netloc:
        return ""
    try:
        return scoped(workspace, parts.path.strip("/"))
    except Refused:
        return ""


def register(registry: Any, wanted: ModelVersion) -> None:
    """Idempotent. A whole number keeps its number; other versions get the next one and a tag with their name.

    Raises:
        Conflict: AlreadyExists, when MLflow has that number with other content.
    """
    _ensure_model(registry, wanted.name)
    uri = source_uri(wanted.workspace, wanted.source)
    number = _number(wanted.version)
    with registry.ManagedSessionMaker(read_only=False) as session:
        rows = _versions(session, wanted)
        adopted = [row for row in rows if _tags(row).get(VERSION_TAG) == wanted.version]
        if adopted:
            return
        same = next((row for row in rows if row.version == number), None)
        if same is not None:
            if uri not in (same.storage_location, same.source):
                raise Conflict("AlreadyExists", f"MLflow has another version {number} of model {wanted.name}.")
            session.add(_tag(same.workspace, wanted, same.version))
            return
        number = number or max((row.version for row in rows), default=0) + 1
        row = SqlModelVersion(
            workspace=mlflow_name(wanted.workspace), name=wanted.name, version=number, source=uri,
            storage_location=uri, run_id=wanted.run_id or None, creation_time=wanted.created_ms,
            last_updated_time=wanted.created_ms,
        )  # fmt: skip
        row.model_version_tags = [_tag(mlflow_name(wanted.workspace), wanted, number)]
        session.add(row)


def fresh(registry: Any, workspace: str, since_ms: int) -> list[ModelVersion]:
    """Model versions that clients of MLflow registered since then and Ferry has not adopted, oldest first."""
    with registry.ManagedSessionMaker() as session:
        rows = (
            session.query(SqlModelVersion)
            .filter(SqlModelVersion.workspace == mlflow_name(workspace), SqlModelVersion.creation_time >= since_ms)
            .filter(SqlModelVersion.current_stage != "Deleted_Internal", SqlModelVersion.status == "READY")
            .order_by(SqlModelVersion.creation_time, SqlModelVersion.name, SqlModelVersion.version)
            .all()
        )
        found = [_seen(workspace, row) for row in rows if not {VERSION_TAG, _PROMPT_TAG} & _tags(row).keys()]
    return [version for version in found if version.source]


def _seen(workspace: str, row: Any) -> ModelVersion:
    return ModelVersion(
        workspace=workspace,
        name=row.name,
        version=str(row.version),
        source=source_path(workspace, row.storage_location or row.source or ""),
        run_id=row.run_id or "",
        created_ms=row.creation_time or 0,
    )


def _ensure_model(registry: Any, name: str) -> None:
    try:
        registry.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(session: Any, wanted: ModelVersion) -> list[Any]:
    """All versions of the model; its row is locked, so that numbers are given one at a time."""
    home = mlflow_name(wanted.workspace)
    session.query(SqlRegisteredModel).filter_by(workspace=home, name=wanted.name).with_for_update().all()
    found: list[Any] = session.query(SqlModelVersion).filter_by(workspace=home, name=wanted.name).all()
    return found


def _tags(row: Any) -> dict[str, str]:
    return {tag.key: tag.value for tag in row.model_version_tags}


def _tag(workspace: str, wanted: ModelVersion, number: int) -> Any:
    return SqlModelVersionTag(
        workspace=workspace, name=wanted.name, version=number, key=VERSION_TAG, value=wanted.version
    )


def _number(version: str) -> int | None:
    plain = version.isascii() and version.isdigit() and not version.startswith("0") and len(version) <= 10
    return int(version) if plain and int(version) <= _LARGEST else None
