"""MLflow's artifact files as a tree of paths per workspace, over Ferry's content-addressed store."""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol
from urllib.parse import unquote

from ferryml.control.ports import Blobs, Store, TreeFile
from ferryml.domain.errors import Refused
from ferryml.server.mlflow.context import mlflow_name

LONGEST_PATH = 1000
"""Characters; what MLflow's own columns and our index hold."""

_HOSTILE = re.compile(r"[\x00-\x1f\x7f\\]")


class ArtifactTree(Protocol):
    """One tree per workspace; paths are relative, POSIX, cleaned by `clean`."""

    def put(self, workspace: str, path: str, chunks: Iterable[bytes]) -> TreeFile:
        """Stores whole or not at all; replaces what was at that path."""

    def find(self, workspace: str, path: str) -> TreeFile | None: ...
    def read(self, file: TreeFile, start: int = 0, end: int | None = None) -> Iterator[bytes]: ...
    def below(self, workspace: str, folder: str) -> list[TreeFile]:
        """All files in the folder and its folders; "" is the root. A file's own path gives that file."""

    def delete(self, workspace: str, path: str) -> int:
        """A file, or a folder with all it holds; returns how many files."""


class StoreTree:
    """The tree on the server's own ports: paths in the database, bytes by digest among the blobs."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    def put(self, workspace: str, path: str, chunks: Iterable[bytes]) -> TreeFile:
        digest, size = self._blobs.put(chunks)
        with self._store.begin() as tx:
            tx.link_blob(workspace, digest, size)
            tx.put_path(workspace, path, digest, size)
        return TreeFile(path=path, digest=digest, size=size)

    def find(self, workspace: str, path: str) -> TreeFile | None:
        return next((file for file in self.below(workspace, path) if file.path == path), None)

    def read(self, file: TreeFile, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self._blobs.read(file.digest, start, end)

    def below(self, workspace: str, folder: str) -> list[TreeFile]:
        with self._store.begin() as tx:
            return tx.paths(workspace, folder)

    def delete(self, workspace: str, path: str) -> int:
        with self._store.begin() as tx:
            return tx.delete_paths(workspace, path)


def clean(path: str) -> str:
    """A path of the tree, checked. Clients join what they list to local folders, so nothing may climb.

    Raises:
        Refused: PathEscapes.
    """
    plain = path
    while (decoded := unquote(plain)) != plain:
        plain = decoded
    parts = plain.split("/")
    if len(path) > LONGEST_PATH or _HOSTILE.search(plain) or any(part in ("", ".", "..") for part in parts):
        raise Refused("PathEscapes", "That is not a path inside the artifact tree.", "Use relative paths.")
    return path


def scoped(workspace: str, path: str) -> str:
    """The tree's path of an MLflow artifact path; "" is the root. MLflow writes `workspaces/NAME/...`.

    Raises:
        Refused: PathEscapes, also when the path is another workspace's.
    """
    path = path.rstrip("/")
    if not path:
        return ""
    first, _, rest = clean(path).partition("/")
    if first != "workspaces":
        return path
    name, _, inner = rest.partition("/")
    if name != mlflow_name(workspace):
        raise Refused("PathEscapes", "That path belongs to another workspace.", "Use paths of your own workspace.")
    return inner


def children(files: Iterable[TreeFile], folder: str) -> list[tuple[str, int | None]]:
    """Names directly in `folder` with their size in bytes; None marks a folder."""
    found: dict[str, int | None] = {}
    start = f"{folder}/" if folder else ""
    for file in files:
        if file.path.startswith(start):
            name, deeper, _ = file.path[len(start) :].partition("/")
            found[name] = None if deeper else file.size
    return sorted(found.items())
