"""What MLflow's own handlers read files through: their artifact repository, over Ferry's tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path

from ferryml.domain.errors import Refused
from ferryml.server.mlflow.context import current
from ferryml.server.mlflow.tree import ArtifactTree, children, scoped

CHUNK = 1024 * 1024


class TreeRepository(ArtifactRepository):
    """Rooted at the path of its URI. The workspace is always the present call's, whatever the URI names."""

    def __init__(self, tree: ArtifactTree, artifact_uri: str, **others: Any) -> None:
        super().__init__(artifact_uri, **others)
        self._tree = tree
        self._root = urlsplit(artifact_uri).path.strip("/")

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        folder = self._at(path)
        start = f"{path}/" if path else ""
        return [
            FileInfo(start + name, size is None, size)
            for name, size in children(self._tree.below(current(), folder), folder)
        ]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """One file. In this thread, because MLflow's pool would lose whose call it is."""
        target = Path(dst_path or ".", *artifact_path.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        self._download_file(artifact_path, str(target))
        return str(target)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        verify_artifact_path(artifact_path)
        name = Path(local_file).name
        path = self._at(f"{artifact_path}/{name}" if artifact_path else name)
        self._tree.put(current(), path, _chunks(Path(local_file)))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        for file in sorted(Path(local_dir).rglob("*")):
            if file.is_file():
                inner = file.parent.relative_to(local_dir).as_posix()
                folder = "/".join(part for part in (artifact_path, inner) if part and part != ".")
                self.log_artifact(str(file), folder or None)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._tree.delete(current(), self._at(artifact_path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        file = self._tree.find(current(), self._at(remote_file_path))
        if file is None:
            raise MlflowException(f"No such artifact: '{remote_file_path}'", error_code=RESOURCE_DOES_NOT_EXIST)
        with open(local_path, "wb") as out:
            for chunk in self._tree.read(file):
                out.write(chunk)

    def _at(self, path: str | None) -> str:
        whole = "/".join(part for part in (self._root, (path or "").strip("/")) if part)
        try:
            return scoped(current(), whole)
        except Refused as error:
            raise MlflowException(error.message, error_code=INVALID_PARAMETER_VALUE) from error


def _chunks(file: Path) -> Iterator[bytes]:
    with open(file, "rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
