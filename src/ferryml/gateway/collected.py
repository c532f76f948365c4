"""What routers and scoring scripts recorded: kept in the site store, and told to the server as versions of an asset.

What is bound to its zone stays here: then the server learns the digest and the place, and no byte.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ferryml.compile.tree import tree_bytes
from ferryml.domain.collection import MAX_BATCH, Batch
from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused
from ferryml.domain.link import OutputRecord
from ferryml.domain.orders import Tree, TreeEntry, TreeRef
from ferryml.gateway.database import Database
from ferryml.gateway.database import Row as Found
from ferryml.gateway.grants import Grants, stays
from ferryml.gateway.http import Row, body_of, read_fields, token_of
from ferryml.gateway.journal import Caller, Journal
from ferryml.gateway.placed import Placed
from ferryml.gateway.pods import Pods
from ferryml.gateway.store import SiteStore

log = logging.getLogger(__name__)

KEEP_S = 30 * 86_400
MAX_FILES = 5000
"""Files of one version, the newest; older lines are in older versions."""
MOST_COLLECTIONS = 200
"""Of one endpoint: a program may make up names, and each would be an asset."""
LOOK_S = 2.0
MINUTE_S = 60.0
"""Collections that roll by the minute are told that often."""
Key = tuple[str, str, str]
"""(uid, deployment, collection)."""


class Collected:
    """
    Args:
        publish_s: shortest time between two versions of a collection.
    """

    def __init__(
        self, db: Database, store: SiteStore, journal: Journal, grants: Grants, now: Callable[[], datetime],
        publish_s: float,
    ) -> None:  # fmt: skip
        self._db, self._store, self._journal, self._grants = db, store, journal, grants
        self._now, self._publish_s = now, publish_s
        self.placed = Placed()
        """Datastores that this site writes to."""
        self._told: dict[Key, float] = {}
        self._troubled: set[Key] = set()
        self._looked = float("-inf")

    def take(self, batch: Batch, data: bytes) -> None:
        """Durable when it returns; the same batch again changes nothing.

        Raises Forbidden(BadGrant) for endpoints that are not here, Refused(LimitExceeded), Unavailable(DiskFull).
        """
        caller = self._caller(batch.uid)
        self._check_count(batch)
        digest, size = self._store.put([data])
        values = (batch.uid, batch.deployment, batch.collection, batch.path, digest, size, self._seconds())
        with self._db.transaction():
            self._see(digest, caller.workspace)
            self._db.run("INSERT OR IGNORE INTO collected VALUES (?, ?, ?, ?, ?, ?, ?, 0)", *values)

    def look(self) -> int:
        """Tell the server what is due; how many versions. Cheap, and may be called all the time."""
        if time.monotonic() - self._looked < LOOK_S:
            return 0
        self._looked = time.monotonic()
        self._forget()
        sql = "SELECT uid, deployment, collection, MAX(path) FROM collected WHERE told = 0 GROUP BY 1, 2, 3"
        return sum(self._guarded((str(a), str(b), str(c)), str(path)) for a, b, c, path in self._db.rows(sql))

    def _guarded(self, key: Key, path: str) -> bool:
        """One collection's trouble is no other's: it is said once, and tried again."""
        try:
            done = self._publish(key, path)
        except FerryError as error:
            if key not in self._troubled:
                log.warning("what %s collected is not told yet: %s: %s", key[0], error.code, error.message)
            self._troubled.add(key)
            return False
        self._troubled.discard(key)
        return done

    def _publish(self, key: Key, path: str) -> bool:
        every_s = min(MINUTE_S, self._publish_s) if path.count("/") == 5 else self._publish_s
        now = time.monotonic()
        if now - self._told.setdefault(key, now) < every_s:
            return False
        caller = self._caller(key[0])
        claims = self._grants.verify(caller.grant, caller.uid)
        where = "uid = ? AND deployment = ? AND collection = ?"
        fresh = self._db.rows(f"SELECT path, digest FROM collected WHERE {where} AND told = 0", *key)  # noqa: S608  a constant
        record, blobs = self._record(key, stays(claims, "artifacts"), caller)
        place = claims.records.get(record.name)
        if place is not None:
            for path_, digest in fresh:  # one that is put there twice is the same file
                self.placed.write(place, caller.workspace, str(path_), self._store.path(str(digest)))
            record, blobs = record.model_copy(update={"bound": True, "placed": True}), ()
        told = [(*key, path_) for path_, _ in fresh]
        with self._db.transaction():
            self._journal.append(caller.uid, caller.attempt, record, blobs)
            self._db.run_many(f"UPDATE collected SET told = 1 WHERE {where} AND path = ?", told)  # noqa: S608  a constant
        self._told[key] = now
        return True

    def _record(self, key: Key, bound: bool, caller: Caller) -> tuple[OutputRecord, tuple[str, ...]]:
        """The newest version of a collection, and the files that it needs."""
        rows = self._db.rows(
            "SELECT path, digest, size FROM collected WHERE uid = ? AND deployment = ? AND collection = ? "
            "ORDER BY at DESC, path DESC LIMIT ?", *key, MAX_FILES,
        )  # fmt: skip
        tree = Tree(entries=tuple(sorted(map(_entry, rows), key=lambda entry: entry.path)))
        digest, _ = self._store.put([tree_bytes(tree)])
        self._see(digest, caller.workspace)
        ref = TreeRef(digest=digest, size=sum(entry.size for entry in tree.entries))
        blobs = tuple(dict.fromkeys((*(entry.digest for entry in tree.entries), digest)))
        return OutputRecord(name=f"{key[1]}/{key[2]}", tree=ref, bound=bound), blobs

    def _forget(self) -> None:
        """What is old is in earlier versions; what belongs to an endpoint that is gone has nobody to be told of."""
        self._db.run("DELETE FROM collected WHERE told = 1 AND at < ?", self._seconds() - KEEP_S)
        self._db.run(
            "DELETE FROM collected WHERE uid NOT IN (SELECT uid FROM streams WHERE attempt = 1 AND dismissed = 0)"
        )

    def _caller(self, uid: str) -> Caller:
        row = self._db.row("SELECT dismissed FROM streams WHERE uid = ? AND attempt = 1", uid)
        if row is None or row[0]:
            raise Forbidden("BadGrant", f"{uid} is not served here")
        try:
            caller = self._journal.stream(uid, 1)
        except NotFound as error:
            raise Forbidden("BadGrant", f"{uid} is not served here") from error
        if "captures" not in self._grants.verify(caller.grant, uid).writes:
            raise Forbidden("BadGrant", f"the grant of {uid} records nothing")
        return caller

    def _check_count(self, batch: Batch) -> None:
        sql = "SELECT 1 FROM collected WHERE uid = ? AND deployment = ? AND collection = ? LIMIT 1"
        if self._db.row(sql, batch.uid, batch.deployment, batch.collection) is not None:
            return
        found = self._db.rows("SELECT DISTINCT deployment, collection FROM collected WHERE uid = ?", batch.uid)
        if len(found) >= MOST_COLLECTIONS:
            raise Refused("LimitExceeded", f"{batch.uid} has {len(found)} collections already, and may have no more")

    def _see(self, digest: str, workspace: str) -> None:
        self._db.run("INSERT OR IGNORE INTO visible VALUES (?, ?)", digest, workspace)

    def _seconds(self) -> int:
        return int(self._now().timestamp())


class CollectedRoutes:
    """For the routers of a cluster, which record for every endpoint, and pods of endpoints, each for its own."""

    def __init__(self, pods: Pods, collected: Collected) -> None:
        self._pods, self._collected = pods, collected

    def table(self) -> list[Row]:
        return [("/v1/collected", self.take, ["POST"]), ("/v1/modeldata", self.take_own, ["POST"])]

    async def take(self, request: Request) -> Response:
        await run_in_threadpool(self._pods.check_router, token_of(request))
        batch = read_fields(Batch, dict(request.query_params))
        data = await body_of(request, MAX_BATCH)
        await run_in_threadpool(self._collected.take, batch, data)
        return JSONResponse({})

    async def take_own(self, request: Request) -> Response:
        """What a scoring script collected; whose it is says the pod's token."""
        caller = await run_in_threadpool(self._pods.who, token_of(request))
        if caller.kind != "serving":
            raise Forbidden("Forbidden", f"{caller.uid} is no endpoint")
        batch = read_fields(Batch, {**request.query_params, "uid": caller.uid})
        data = await body_of(request, MAX_BATCH)
        await run_in_threadpool(self._collected.take, batch, data)
        return JSONResponse({})


def _entry(row: Found) -> TreeEntry:
    path, digest, size = row
    return TreeEntry(path=str(path), digest=str(digest), size=int(str(size)))
