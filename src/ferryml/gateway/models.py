"""Models that lie on datastores: fetched once for a site, and fixed by digest from then on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

from ferryml.compile.tree import check_path, parse_tree, tree_bytes
from ferryml.domain.errors import FerryError, Forbidden, Refused, Unavailable
from ferryml.domain.link import Grant
from ferryml.domain.orders import DatastorePath, Tree, TreeEntry, TreeRef
from ferryml.gateway.database import Database
from ferryml.gateway.placed import Placed
from ferryml.gateway.store import SiteStore

THREADS = 2
MANIFEST_LIMIT = 64 << 20
Key = tuple[str, str, str]
"""Workspace, what it is known by, its place as JSON."""


class Models:
    """Where they are says the grant; nobody else is believed."""

    def __init__(self, db: Database, store: SiteStore) -> None:
        self._db, self._store = db, store
        self.placed = Placed()
        """Datastores that this site reads."""
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ferry-model")
        self._running: dict[Key, Future[TreeRef]] = {}
        self._fetched: dict[Key, int] = {}
        self._lock = threading.Lock()

    def find(self, grant: Grant, key: str, wait_s: float) -> TreeRef:
        """The model in the site store, fetched if need be.

        Raises Forbidden(BadGrant), NotFound, Refused (`DigestMismatch` when it has changed since it was first fetched),
        Unavailable while a long fetch goes on.
        """
        place = grant.models.get(key)
        if place is None:
            raise Forbidden("BadGrant", f"the grant of {grant.uid} names no model {key[:200]!r}")
        at = (grant.workspace, key, place.model_dump_json())
        fixed = self._fixed(at)
        if fixed is not None and self._is_whole(fixed):
            return self._used(grant, fixed)
        with self._lock:
            running = self._running.get(at)
            if running is None:
                running = self._running[at] = self._pool.submit(self._fetch, at, place, fixed)
        try:
            found = running.result(wait_s)
        except Late as error:
            have = self._fetched.get(at, 0)
            words = f"{key} is being fetched from datastore {place.datastore}: {have} bytes so far"
            raise Unavailable("Unavailable", words) from error
        except FerryError:
            self._forget(at)
            raise
        self._forget(at)
        return self._used(grant, found)

    def of(self, uid: str) -> list[str]:
        """Digests of the models that an endpoint may read here."""
        return [ref.digest for ref in self._refs("SELECT tree FROM models WHERE uid = ?", uid)]

    def digests(self) -> set[str]:
        """Everything that some endpoint serves: the server has no bytes of it."""
        found: set[str] = set()
        for ref in self._refs("SELECT DISTINCT tree FROM models"):
            found |= {ref.digest, *(entry.digest for entry in self._entries(ref))}
        return found

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fixed(self, at: Key) -> TreeRef | None:
        sql = "SELECT tree FROM fixed_models WHERE workspace = ? AND key = ? AND place = ?"
        return next(iter(self._refs(sql, *at)), None)

    def _used(self, grant: Grant, ref: TreeRef) -> TreeRef:
        with self._db.transaction():
            self._db.run("INSERT OR IGNORE INTO models VALUES (?, ?)", grant.uid, ref.model_dump_json())
            seen = [(one, grant.workspace) for one in {ref.digest, *(entry.digest for entry in self._entries(ref))}]
            self._db.run_many("INSERT OR IGNORE INTO visible VALUES (?, ?)", seen)
        return ref

    def _forget(self, at: Key) -> None:
        with self._lock:
            self._running.pop(at, None)
            self._fetched.pop(at, None)

    def _is_whole(self, ref: TreeRef) -> bool:
        return self._store.has(ref.digest) and all(self._store.has(entry.digest) for entry in self._entries(ref))

    def _entries(self, ref: TreeRef) -> tuple[TreeEntry, ...]:
        if ref.kind == "file" or not self._store.has(ref.digest):
            return ()
        return parse_tree(self._store.read(ref.digest, MANIFEST_LIMIT)).entries

    def _fetch(self, at: Key, place: DatastorePath, fixed: TreeRef | None) -> TreeRef:
        listed = self.placed.entries(place, at[0])
        name = place.path.strip("/").rpartition("/")[2]
        if [entry.path for entry in listed] == [""]:
            digest, size = self._bring(at, place, "")
            found = TreeRef(digest=digest, kind="file", name=name or "model", size=size)
        else:
            parts = [(check_path(entry.path), *self._bring(at, place, entry.path)) for entry in listed]
            entries = sorted(
                (TreeEntry(path=path, digest=digest, size=size) for path, digest, size in parts), key=_path
            )
            digest, _ = self._store.put([tree_bytes(Tree(entries=tuple(entries)))])
            found = TreeRef(digest=digest, name=name or "model", size=sum(size for _, _, size in parts))
        if fixed is not None and fixed != found:
            raise Refused(
                "DigestMismatch",
                f"{place.path!r} of datastore {place.datastore} is not what {at[1]} was first served with here",
                "Register it as a new version of the model.",
            )
        self._db.run("INSERT OR IGNORE INTO fixed_models VALUES (?, ?, ?, ?)", *at, found.model_dump_json())
        return found

    def _bring(self, at: Key, place: DatastorePath, path: str) -> tuple[str, int]:
        with self._store.draft() as draft:
            for piece in self._pieces(at, place, path):
                draft.write(piece)
            return draft.publish()

    def _pieces(self, at: Key, place: DatastorePath, path: str) -> Iterator[bytes]:
        for piece in self.placed.read(place, at[0], path):
            self._fetched[at] = self._fetched.get(at, 0) + len(piece)
            yield piece

    def _refs(self, sql: str, *values: str) -> list[TreeRef]:
        return [TreeRef.model_validate_json(str(tree)) for (tree,) in self._db.rows(sql, *values)]


def _path(entry: TreeEntry) -> str:
    return entry.path
