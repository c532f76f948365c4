"""The memory of a local site: wishes and what became of them, in one SQLite file that survives any kill."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Unavailable
from ferryml.domain.link import Wish
from ferryml.domain.seen import StoredStatus, told_anew
from ferryml.domain.sparse import sparse_json

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS wishes (uid TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS statuses (uid TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class LocalLedger:
    """`agent.ports.Ledger`; reads come from memory, writes are on disk before they return. Safe between threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)
        self._meta = dict(self._db.execute("SELECT key, value FROM meta"))
        rows = self._db.execute("SELECT body FROM wishes").fetchall()
        self._wishes = {wish.uid: wish for wish in (Wish.model_validate_json(body) for (body,) in rows)}
        rows = self._db.execute("SELECT body FROM statuses").fetchall()
        self._statuses = {s.uid: s for s in (StoredStatus.model_validate_json(body) for (body,) in rows)}

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def epoch(self) -> str:
        with self._lock:
            return str(self._meta.get("epoch", ""))

    def cursor(self) -> int:
        with self._lock:
            return int(self._meta.get("cursor", "0"))

    def wishes(self) -> list[Wish]:
        with self._lock:
            return sorted(self._wishes.values(), key=lambda wish: wish.cursor)

    def wish(self, uid: str) -> Wish | None:
        with self._lock:
            return self._wishes.get(uid)

    def take(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        with self._lock:
            came = list(wishes)
            if not came and (epoch, cursor) == (self.epoch(), self.cursor()):
                return
            back = [self._orphaned(w.uid, False) for w in came if self._is_orphaned(w.uid)]
            self._write(wishes=came, statuses=back, epoch=epoch, cursor=cursor)

    def relist(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        with self._lock:
            came = list(wishes)
            listed = {wish.uid: wish.generation for wish in came}
            told = told_anew(self._statuses.values(), listed, self._wishes)
            self._write(wishes=came, statuses=told, epoch=epoch, cursor=cursor)

    def bury(self, uid: str, remember: bool) -> None:
        with self._lock:
            wish = self._wishes.get(uid)
            if wish is not None and wish.order is not None:
                return
            with self._transaction():
                self._db.execute("DELETE FROM wishes WHERE uid = ?", (uid,))
                if not remember:
                    self._db.execute("DELETE FROM statuses WHERE uid = ?", (uid,))
            self._wishes.pop(uid, None)
            if not remember:
                self._statuses.pop(uid, None)

    def status(self, uid: str) -> StoredStatus | None:
        with self._lock:
            return self._statuses.get(uid)

    def statuses(self) -> list[StoredStatus]:
        with self._lock:
            return list(self._statuses.values())

    def put_statuses(self, statuses: Iterable[StoredStatus]) -> None:
        """What the server said in the meantime (acknowledged, orphaned) is kept: the caller decides only the rest."""
        with self._lock:
            self._write(statuses=[self._merged(s) for s in statuses])

    def acknowledge(self, accepted: Iterable[tuple[str, int, int]], unknown: Iterable[str]) -> None:
        with self._lock:
            changed: dict[str, StoredStatus] = {}
            for uid, _, version in accepted:
                stored = self._statuses.get(uid)
                if stored is not None and stored.acknowledged < version <= stored.version:
                    changed[uid] = stored.model_copy(update={"acknowledged": version, "orphaned": False})
            for uid in unknown:
                if uid in self._statuses:
                    stored = self._orphaned(uid, True)
                    changed[uid] = stored.model_copy(update={"acknowledged": stored.version})
            self._write(statuses=changed.values())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            code: Code = "DiskFull" if "full" in str(error) else "Unavailable"
            raise Unavailable(
                code, f"the site's ledger cannot be written: {error}", "Free space on the disk."
            ) from error

    def _merged(self, new: StoredStatus) -> StoredStatus:
        old = self._statuses.get(new.uid)
        if old is None:
            return new
        return new.model_copy(update={"acknowledged": old.acknowledged, "orphaned": old.orphaned})

    def _is_orphaned(self, uid: str) -> bool:
        return uid in self._statuses and self._statuses[uid].orphaned

    def _orphaned(self, uid: str, orphaned: bool) -> StoredStatus:
        return self._statuses[uid].model_copy(update={"orphaned": orphaned})

    def _write(
        self,
        *,
        wishes: Iterable[Wish] = (),
        statuses: Iterable[StoredStatus] = (),
        epoch: str | None = None,
        cursor: int | None = None,
    ) -> None:
        wishes, statuses = list(wishes), list(statuses)
        meta = {} if epoch is None else {"epoch": epoch, "cursor": str(cursor)}
        if not (wishes or statuses or meta):
            return
        with self._transaction():
            self._db.executemany("REPLACE INTO meta VALUES (?, ?)", list(meta.items()))
            rows = [(wish.uid, sparse_json(wish).decode()) for wish in wishes]
            self._db.executemany("REPLACE INTO wishes VALUES (?, ?)", rows)
            self._db.executemany(
                "REPLACE INTO statuses VALUES (?, ?)", [(s.uid, s.model_dump_json()) for s in statuses]
            )
        self._meta.update(meta)
        self._wishes.update({wish.uid: wish for wish in wishes})
        self._statuses.update({stored.uid: stored for stored in statuses})
