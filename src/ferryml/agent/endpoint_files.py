"""Brings code and model of revisions into the site store, in the background and once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ferryml.compile.serving import MLFLOW_FILES, mlflow_environment
from ferryml.compile.tree import parse_tree
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.orders import EnvironmentOrder, RevisionOrder, TreeEntry, TreeRef
from ferryml.domain.serving import Prepared

MAX_MODEL_FILE = 1024 * 1024
Content = Callable[[str, str], bytes]
_READY = Prepared("ready")


class Files:
    """One fetch per revision; what failed for want of the server or of room is tried again.

    Args:
        read: (digest, grant) -> bytes, of manifests and small files.
        model: (key, grant) -> a model that lies on a datastore, in the site store.
        bring: fetches into the site store; None on clusters, whose pods bring what they need.
    """

    def __init__(
        self, read: Content, model: Callable[[str, str], TreeRef], bring: Callable[[str, str], object] | None = None,
        parallel: int = 2,
    ) -> None:  # fmt: skip
        self._read, self._model, self._bring_in = read, model, bring
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="serving-fetch")
        self._lock = threading.Lock()
        self._environments: dict[tuple[str, str], EnvironmentOrder] = {}
        self._models: dict[tuple[str, str], TreeRef] = {}
        self._running: dict[tuple[str, str], tuple[int, Future[None]]] = {}

    def prepared(self, uid: str, revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        """Where it stands; starts it when it was never asked for. Never blocks."""
        key = (uid, revision.revision)
        if self._bring_in is None and not _asks_its_files(revision) and revision.model_source is None:
            return _READY
        with self._lock:
            asked, future = self._running.get(key, (-1, None))
            if future is None:
                return self._begin(key, revision, grant, generation)
            if not future.done():
                return Prepared("waiting", "bringing model and code to the site")
            error = future.exception()
            if error is None:
                return _READY
            if not isinstance(error, FerryError):
                return Prepared("failed", str(error) or type(error).__name__, "StagingFailed")
            if not isinstance(error, Refused) or asked != generation:
                self._begin(key, revision, grant, generation)
                return Prepared("waiting", error.message)
            return Prepared("failed", error.message, error.code)

    def resolved(self, uid: str, revision: RevisionOrder) -> RevisionOrder:
        """The revision with what only the site knows: a model on a datastore, an environment that its files ask for."""
        key = (uid, revision.revision)
        with self._lock:
            known = {"environment": self._environments.get(key), "model": self._models.get(key)}
        found = {name: one for name, one in known.items() if one is not None}
        return revision.model_copy(update=found) if found else revision

    def forget(self, uid: str, keep: frozenset[str] = frozenset()) -> None:
        """Revisions of the endpoint that are of no interest any more."""
        with self._lock:
            for key in [key for key in self._running if key[0] == uid and key[1] not in keep]:
                del self._running[key]
                self._environments.pop(key, None)
                self._models.pop(key, None)

    def close(self) -> None:
        """Fetches under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: tuple[str, str], revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        self._running[key] = (generation, self._pool.submit(self._fetch, key, revision, grant))
        return Prepared("waiting", "bringing model and code to the site")

    def _fetch(self, key: tuple[str, str], revision: RevisionOrder, grant: str) -> None:
        if revision.model_source is not None:
            revision = revision.model_copy(update={"model": self._model(revision.model_source.key, grant)})
        for ref in (revision.code, revision.model):
            if ref is not None and self._bring_in is not None:
                for entry in self._entries(ref, grant):
                    self._bring_in(entry.digest, grant)
        if _asks_its_files(revision):
            environment = mlflow_environment(self._model_files(revision.model, grant), None)
            with self._lock:
                self._environments[key] = environment
        if revision.model_source is not None and revision.model is not None:
            with self._lock:  # the last step: what is resolved is whole
                self._models[key] = revision.model

    def _entries(self, ref: TreeRef, grant: str) -> tuple[TreeEntry, ...]:
        if ref.kind == "tree":
            return parse_tree(self._read(ref.digest, grant)).entries
        return (TreeEntry(path=ref.name or "file", digest=ref.digest, size=ref.size),)

    def _model_files(self, model: TreeRef | None, grant: str) -> dict[str, str]:
        files = {
            one.path: self._read(one.digest, grant).decode("utf-8", "replace")
            for one in (self._entries(model, grant) if model else ())
            if one.path in MLFLOW_FILES and one.size <= MAX_MODEL_FILE
        }
        if "requirements.txt" not in files:
            raise Refused(
                "BadArgument", "the model does not say what it needs: it has no requirements.txt",
                "Name an environment in the deployment.",
            )  # fmt: skip
        return files


def _asks_its_files(revision: RevisionOrder) -> bool:
    """Whether only the files of its model say which environment it needs."""
    return revision.flavor == "mlflow" and not revision.environment.key
