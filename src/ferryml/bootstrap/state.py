"""Where a server keeps what it remembers, from its settings: databases, artifacts, key, tokens."""

from __future__ import annotations

from pathlib import Path

from ferryml.settings.server import ServerSettings
from ferryml.store.backup import State
from ferryml.store.blobs import ContentBlobs, open_blobs


def database_url(settings: ServerSettings) -> str:
    """Of the store; SQLite in state_dir unless told otherwise."""
    return settings.database_url or f"sqlite:///{_folder(settings)}/ferry.db"


def mlflow_url(settings: ServerSettings) -> str:
    """Of MLflow's own database."""
    return settings.mlflow_database_url or f"sqlite:///{_folder(settings)}/mlflow.db"


def key_file(settings: ServerSettings) -> Path:
    """What signs and seals; without it a backup is worth nothing."""
    return settings.encryption_key_file or _folder(settings) / "keys" / "server.json"


def admin_token_file(settings: ServerSettings) -> Path:
    """A token for the owner of this machine, mode 0600."""
    return _folder(settings) / "admin.token"


def blobs(settings: ServerSettings) -> ContentBlobs:
    """The artifact store."""
    folder = _folder(settings)
    if settings.artifacts_url:
        return open_blobs(settings.artifacts_url, folder / "spool")
    return open_blobs(str(folder / "artifacts"))


def memory(settings: ServerSettings) -> State:
    """All of it, for backup and restore."""
    return State(
        databases={"ferry": database_url(settings), "mlflow": mlflow_url(settings)},
        blobs=blobs(settings), files={"server.json": key_file(settings)},
    )  # fmt: skip


def _folder(settings: ServerSettings) -> Path:
    return settings.state_dir.absolute()
