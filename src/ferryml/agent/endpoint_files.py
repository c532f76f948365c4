"""Brings code and model of revisions into the site store, in the background and once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from ferryml.agent.ports import GatewayDoor
from ferryml.compile.serving import MLFLOW_FILES, mlflow_environment
from ferryml.compile.tree import parse_tree
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.orders import EnvironmentOrder, RevisionOrder, TreeEntry, TreeRef
from ferryml.domain.serving import Prepared

MAX_MODEL_FILE = 1024 * 1024
_READY = Prepared("ready")


class BroughtByPods:
    """`FilesDoor` of clusters: each pod fetches what it needs through the gateway, which keeps it for the next."""

    def prepared(self, uid: str, revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        return _READY

    def resolved(self, uid: str, revision: RevisionOrder) -> RevisionOrder:
        return revision

    def forget(self, uid: str, keep: frozenset[str] = frozenset()) -> None:
        return

    def close(self) -> None:
        return


class Files:
    """One fetch per revision; what failed for want of the server or of room is tried again."""

    def __init__(self, gateway: GatewayDoor, parallel: int = 2) -> None:
        self._gateway = gateway
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="serving-fetch")
        self._lock = threading.Lock()
        self._environments: dict[tuple[str, str], EnvironmentOrder] = {}
        self._running: dict[tuple[str, str], tuple[int, Future[None]]] = {}

    def prepared(self, uid: str, revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        """Where it stands; starts it when it was never asked for. Never blocks."""
        key = (uid, revision.revision)
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
        """The revision with its environment: one whose model never left the site asks for it in its own files."""
        with self._lock:
            found = self._environments.get((uid, revision.revision))
        return revision if found is None else revision.model_copy(update={"environment": found})

    def forget(self, uid: str, keep: frozenset[str] = frozenset()) -> None:
        """Revisions of the endpoint that are of no interest any more."""
        with self._lock:
            for key in [key for key in self._running if key[0] == uid and key[1] not in keep]:
                del self._running[key]
                self._environments.pop(key, None)

    def close(self) -> None:
        """Fetches under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: tuple[str, str], revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        self._running[key] = (generation, self._pool.submit(self._fetch, key, revision, grant))
        return Prepared("waiting", "bringing model and code to the site")

    def _fetch(self, key: tuple[str, str], revision: RevisionOrder, grant: str) -> None:
        for ref in (revision.code, revision.model):
            if ref is not None:
                self._bring(ref, grant)
        if revision.flavor == "mlflow" and not revision.environment.key:
            environment = mlflow_environment(self._model_files(revision.model, grant), None)
            with self._lock:
                self._environments[key] = environment

    def _bring(self, ref: TreeRef, grant: str) -> None:
        for entry in self._entries(ref, grant):
            self._gateway.fetch(entry.digest, grant)

    def _entries(self, ref: TreeRef, grant: str) -> tuple[TreeEntry, ...]:
        path = self._gateway.fetch(ref.digest, grant)
        return parse_tree(path.read_bytes()).entries if ref.kind == "tree" else ()

    def _model_files(self, model: TreeRef | None, grant: str) -> dict[str, str]:
        files = {
            one.path: self._gateway.fetch(one.digest, grant).read_text(encoding="utf-8", errors="replace")
            for one in (self._entries(model, grant) if model else ())
            if one.path in MLFLOW_FILES and one.size <= MAX_MODEL_FILE
        }
        if "requirements.txt" not in files:
            raise Refused(
                "BadArgument", "the model does not say what it needs: it has no requirements.txt",
                "Name an environment in the deployment.",
            )  # fmt: skip
        return files
