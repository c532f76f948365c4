"""Brings code and model of revisions into the site store, in the background and once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from ferryml.agent.ports import GatewayDoor
from ferryml.compile.tree import parse_tree
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.orders import RevisionOrder, TreeRef
from ferryml.domain.serving import Prepared

_READY = Prepared("ready")


class Files:
    """One fetch per revision; what failed for want of the server or of room is tried again."""

    def __init__(self, gateway: GatewayDoor, parallel: int = 2) -> None:
        self._gateway = gateway
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="serving-fetch")
        self._lock = threading.Lock()
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

    def forget(self, uid: str, keep: frozenset[str] = frozenset()) -> None:
        """Revisions of the endpoint that are of no interest any more."""
        with self._lock:
            for key in [key for key in self._running if key[0] == uid and key[1] not in keep]:
                del self._running[key]

    def close(self) -> None:
        """Fetches under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, key: tuple[str, str], revision: RevisionOrder, grant: str, generation: int) -> Prepared:
        self._running[key] = (generation, self._pool.submit(self._fetch, revision, grant))
        return Prepared("waiting", "bringing model and code to the site")

    def _fetch(self, revision: RevisionOrder, grant: str) -> None:
        for ref in (revision.code, revision.model):
            if ref is not None:
                self._bring(ref, grant)

    def _bring(self, ref: TreeRef, grant: str) -> None:
        path = self._gateway.fetch(ref.digest, grant)
        if ref.kind == "tree":
            for entry in parse_tree(path.read_bytes()).entries:
                self._gateway.fetch(entry.digest, grant)
