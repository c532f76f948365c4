"""What a job reads from outside of the site: addresses that the server's order names, fetched here, never by pods."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from pathlib import Path

import httpx

from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.orders import DatastorePath, Json
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller
from ferryml.gateway.objects import Entry
from ferryml.gateway.placed import Shelves, object_name
from ferryml.gateway.store import SiteStore
from ferryml.gateway.upstream import Upstream, pieces

THREADS = 4
Key = tuple[str, str]


class Sources:
    """By job and the name that its plan has for them, e.g. `inputs.data`.

    Web addresses are fetched once for a job and kept; places on object stores are passed through.

    Args:
        shelves: finds a place's bucket or container with its credentials, for a workspace.
    """

    def __init__(self, db: Database, store: SiteStore, upstream: Upstream, shelves: Shelves) -> None:
        self._db, self._store, self._upstream, self._shelves = db, store, upstream, shelves
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ferry-source")
        self._running: dict[Key, Future[Path]] = {}
        self._lock = threading.Lock()

    def allow(self, uid: str, sources: dict[str, dict[str, Json]]) -> None:
        """The agent's word of what this job may have fetched; what is known already stays."""
        rows = [(uid, name, json.dumps(source)) for name, source in sources.items()]
        self._db.run_many("INSERT OR IGNORE INTO sources (uid, name, source, digest) VALUES (?, ?, ?, '')", rows)

    def file(self, caller: Caller, name: str, wait_s: float) -> Path:
        """The bytes. Raises NotFound, Refused for good; Unavailable while it takes its time."""
        source, digest = self._known(caller, name)
        if digest and self._store.has(digest):
            return self._store.path(digest)
        key = (caller.uid, name)
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = self._pool.submit(self._fetch, key, source)
        try:
            path = running.result(wait_s)
        except Late as error:
            raise Unavailable("Unavailable", f"{name} is being fetched") from error
        except FerryError:
            self._forget(key)
            raise
        self._forget(key)
        return path

    def entries(self, caller: Caller, name: str) -> list[Entry]:
        """What lies at a place; one entry with the path "" when it is a single object."""
        place = self._place(caller, name)
        return self._shelves(place, caller.workspace).list(object_name(place, ""))

    def read(self, caller: Caller, name: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """One object of a place, its body still to be read; the caller closes it."""
        place = self._place(caller, name)
        return self._shelves(place, caller.workspace).read(object_name(place, path), headers)

    def write(self, caller: Caller, name: str, path: str, file: Path) -> None:
        """Puts a file to an output's place."""
        if not name.startswith("outputs."):
            raise Forbidden("Forbidden", f"{name[:100]!r} is no output")
        place = self._place(caller, name)
        self._shelves(place, caller.workspace).write(object_name(place, path), file)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _known(self, caller: Caller, name: str) -> tuple[dict[str, Json], str]:
        row = self._db.row("SELECT source, digest FROM sources WHERE uid = ? AND name = ?", caller.uid, name)
        if row is None or caller.kind != "job":
            raise NotFound("NotFound", f"{name[:100]!r} is nothing that this job has outside")
        return json.loads(str(row[0])), str(row[1])

    def _place(self, caller: Caller, name: str) -> DatastorePath:
        source, _ = self._known(caller, name)
        if "place" not in source:
            raise NotFound("NotFound", f"{name[:100]!r} is no place on a datastore")
        return DatastorePath.model_validate(source["place"])

    def _forget(self, key: Key) -> None:
        with self._lock:
            self._running.pop(key, None)

    def _fetch(self, key: Key, source: dict[str, Json]) -> Path:
        uri = str(source.get("uri") or "")
        if not uri.startswith(("https://", "http://")):
            raise Refused("NotSupported", f"this site cannot read {uri.partition('?')[0][:200]!r}")
        with self._upstream.get(uri, "") as answer, self._store.draft() as draft:
            promised = answer.headers.get("Content-Length")
            for piece in pieces(answer):
                draft.write(piece)
            if promised and draft.size != int(promised):
                raise Unavailable("Unavailable", f"{draft.size} of {promised} bytes arrived")
            digest, _ = draft.publish()
        self._db.run("UPDATE sources SET digest = ? WHERE uid = ? AND name = ?", digest, *key)
        return self._store.path(digest)
