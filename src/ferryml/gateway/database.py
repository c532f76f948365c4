"""The gateway's own small database: what came in is on disk before anyone hears that it was taken."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import Unavailable

SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    uid TEXT, attempt INTEGER, workspace TEXT NOT NULL, grant_text TEXT NOT NULL, seq INTEGER NOT NULL DEFAULT 0,
    complete_seq INTEGER, exit_code INTEGER, dismissed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (uid, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, uid TEXT NOT NULL, attempt INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    uid TEXT, attempt INTEGER, seq INTEGER, state TEXT NOT NULL, item TEXT NOT NULL, blobs TEXT NOT NULL,
    PRIMARY KEY (uid, attempt, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_state ON entries (state, uid, attempt, seq);
CREATE TABLE IF NOT EXISTS refusals (
    uid TEXT, attempt INTEGER, seq INTEGER, output TEXT NOT NULL, words TEXT NOT NULL,
    PRIMARY KEY (uid, attempt, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (
    uid TEXT, attempt INTEGER, name TEXT, tree TEXT NOT NULL, bound INTEGER NOT NULL,
    PRIMARY KEY (uid, attempt, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS logs (uid TEXT, path TEXT, size INTEGER NOT NULL, PRIMARY KEY (uid, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_logs (
    uid TEXT PRIMARY KEY, size INTEGER NOT NULL, turn INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS visible (digest TEXT, workspace TEXT, PRIMARY KEY (digest, workspace)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (digest TEXT, workspace TEXT, PRIMARY KEY (digest, workspace)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pins (digest TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    uid TEXT, run TEXT, made TEXT NOT NULL DEFAULT '', info TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (uid, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL, run TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS facts_by_run ON facts (uid, run, kind, name);
CREATE TABLE IF NOT EXISTS answers (
    uid TEXT, question TEXT, kind TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (uid, question)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS artifacts (uid TEXT, path TEXT, digest TEXT NOT NULL, PRIMARY KEY (uid, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS admissions (
    namespace TEXT, prefix TEXT, uid TEXT NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (namespace, prefix)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS admissions_by_uid ON admissions (uid);
CREATE TABLE IF NOT EXISTS states (
    uid TEXT, attempt INTEGER, rank INTEGER, body TEXT NOT NULL, PRIMARY KEY (uid, attempt, rank)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shares (
    uid TEXT, attempt INTEGER, name TEXT, rank INTEGER, digest TEXT NOT NULL,
    PRIMARY KEY (uid, attempt, name, rank)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
    uid TEXT, attempt INTEGER, name TEXT, tree TEXT NOT NULL, PRIMARY KEY (uid, attempt, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS finished (
    uid TEXT, attempt INTEGER, rank INTEGER, exit_code INTEGER NOT NULL,
    PRIMARY KEY (uid, attempt, rank)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS environments (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL, lock TEXT NOT NULL, python TEXT NOT NULL,
    notes TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (key TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (
    uid TEXT, name TEXT, source TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (uid, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collected (
    uid TEXT, deployment TEXT, collection TEXT, path TEXT, digest TEXT NOT NULL, size INTEGER NOT NULL,
    at INTEGER NOT NULL, told INTEGER NOT NULL, PRIMARY KEY (uid, deployment, collection, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fixed_models (
    workspace TEXT, key TEXT, place TEXT, tree TEXT NOT NULL, PRIMARY KEY (workspace, key, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (uid TEXT, tree TEXT, PRIMARY KEY (uid, tree)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (url TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""

Value = str | int | bytes | None
Row = tuple[Value, ...]


class Database:
    """One connection behind one lock; transactions nest by joining the outer one."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when left. Raises Unavailable (DiskFull) when the disk does not take it."""
        with self._lock:
            if self._depth:
                yield
                return
            self._depth, self._after = 1, []
            try:
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    yield
            except sqlite3.OperationalError as error:
                code: Code = "DiskFull" if "full" in str(error) else "Unavailable"
                raise Unavailable(code, f"the journal cannot be written: {error}", "Free space on the disk.") from error
            finally:
                self._depth = 0
            landed = self._after
        for tell in landed:
            tell()

    def after(self, tell: Callable[[], None]) -> None:
        """Called once the present transaction has landed and nothing is locked any more; at once outside of one."""
        with self._lock:
            if self._depth:
                self._after.append(tell)
                return
        tell()

    def run(self, sql: str, *values: Value) -> int:
        """One change; returns the number of rows."""
        with self.transaction():
            return self._db.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Sequence[Row]) -> None:
        with self.transaction():
            self._db.executemany(sql, rows)

    def rows(self, sql: str, *values: Value) -> list[Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Value) -> Row | None:
        found = self.rows(sql, *values)
        return found[0] if found else None
