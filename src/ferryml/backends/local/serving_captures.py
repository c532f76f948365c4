"""Predictions by request id in a small SQLite file, so that labels that come later make accuracy a live figure.

A local site keeps it beside its router; the gateway of a cluster keeps one for all routers (`gateway/captures.py`).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from ferryml.domain import predictions
from ferryml.domain.statuses import Accuracy

MAX_PREDICTIONS = 200_000
"""Per endpoint; the oldest go first and can no longer be labelled."""
MAX_AGE_S = 30 * 86_400.0
RECENT = 1000
MAX_LABELS = 20_000
"""Labels kept per revision; totals go on counting."""
_WAITING = 20_000
_FLUSH_S = 0.5
_TRIM_EVERY = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
  request TEXT PRIMARY KEY, uid TEXT NOT NULL, revision TEXT NOT NULL, predicted TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS predictions_by_age ON predictions (uid, at);
CREATE TABLE IF NOT EXISTS labels (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT NOT NULL UNIQUE, uid TEXT NOT NULL, revision TEXT NOT NULL,
  label TEXT NOT NULL, correct INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS labels_by_revision ON labels (uid, revision, seq);
CREATE TABLE IF NOT EXISTS totals (
  uid TEXT NOT NULL, revision TEXT NOT NULL, predictions INTEGER NOT NULL DEFAULT 0, labels INTEGER NOT NULL DEFAULT 0,
  correct INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (uid, revision)
) WITHOUT ROWID;
"""


_Prediction = tuple[str, str, str, str, float]
"""Request id, uid, revision, prediction, seconds since 1970."""


class CaptureFile:
    """Implements `agent.endpoint_ports.Captures`, the router's sink, and what a gateway keeps. Any thread may call."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._waiting: deque[_Prediction] = deque(maxlen=_WAITING)
        self._known: dict[str, dict[str, tuple[Accuracy, Accuracy]]] = {}
        self._flushes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="captures", daemon=True)
        self._thread.start()

    def put(self, uid: str, request_id: str, revision: str, predicted: str) -> None:
        """Remember a prediction, as JSON text; returns at once. When too many wait, the oldest are lost."""
        self._waiting.append((request_id, uid, revision, predicted, self._now().timestamp()))

    def take(self, given: Iterable[tuple[str, str, str, str]]) -> None:
        """(uid, request id, revision, prediction as JSON text), written when this returns; each counts once."""
        at = self._now().timestamp()
        with self._lock:
            self._write([(request, uid, revision, predicted, at) for uid, request, revision, predicted in given])

    def join(self, uid: str, labels: Iterable[tuple[str, str]]) -> tuple[int, int]:
        """(matched, unmatched). The same label again changes nothing."""
        self._flush()
        matched = unmatched = 0
        with self._lock, self._transaction():
            for request, label in labels:
                found = self._db.execute(
                    "SELECT revision, predicted FROM predictions WHERE request = ? AND uid = ?", (request, uid)
                ).fetchone()
                if found is None:
                    unmatched += 1
                    continue
                matched += 1
                self._label(uid, request, found[0], label, _correct(found[1], label))
            self._known.pop(uid, None)
        return matched, unmatched

    def accuracy(self, uid: str) -> dict[str, tuple[Accuracy, Accuracy]]:
        """revision -> (all, the last RECENT)."""
        self._flush()
        with self._lock:
            if uid not in self._known:
                self._known[uid] = self._count(uid)
            return dict(self._known[uid])

    def everything(self) -> dict[str, dict[str, tuple[Accuracy, Accuracy]]]:
        """uid -> what `accuracy` says of it, for every endpoint that had predictions."""
        self._flush()
        with self._lock:
            uids = [row[0] for row in self._db.execute("SELECT DISTINCT uid FROM totals").fetchall()]
        return {uid: self.accuracy(uid) for uid in uids}

    def forget(self, uid: str) -> None:
        """The endpoint is gone."""
        self._flush()
        with self._lock, self._transaction():
            for table in ("predictions", "labels", "totals"):
                self._db.execute(f"DELETE FROM {table} WHERE uid = ?", (uid,))  # noqa: S608  names of ours
            self._known.pop(uid, None)

    def close(self) -> None:
        """Write what waits, then close."""
        self._over.set()
        self._thread.join(5)
        self._flush()
        with self._lock:
            self._db.close()

    def _run(self) -> None:
        while not self._over.wait(_FLUSH_S):
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        with self._lock:
            given: list[_Prediction] = []
            while self._waiting:
                given.append(self._waiting.popleft())
            self._write(given)

    def _write(self, given: Sequence[_Prediction]) -> None:
        """Under the lock."""
        with self._transaction():
            touched: set[str] = set()
            for one in given:
                touched.add(one[1])
                if self._db.execute("INSERT OR IGNORE INTO predictions VALUES (?, ?, ?, ?, ?)", one).rowcount:
                    self._add(one[1], one[2], predictions=1)
            self._flushes += 1
            for uid in touched:
                self._known.pop(uid, None)
                if (self._flushes - 1) % _TRIM_EVERY == 0:
                    self._trim(uid)

    def _label(self, uid: str, request: str, revision: str, label: str, correct: int) -> None:
        before = self._db.execute("SELECT label, correct FROM labels WHERE request = ?", (request,)).fetchone()
        if before is not None:
            if before[0] != label:
                self._db.execute(
                    "UPDATE labels SET label = ?, correct = ? WHERE request = ?", (label, correct, request)
                )
                self._add(uid, revision, correct=correct - before[1])
            return
        self._db.execute(
            "INSERT INTO labels (request, uid, revision, label, correct) VALUES (?, ?, ?, ?, ?)",
            (request, uid, revision, label, correct),
        )
        self._add(uid, revision, labels=1, correct=correct)

    def _add(self, uid: str, revision: str, predictions: int = 0, labels: int = 0, correct: int = 0) -> None:
        self._db.execute(
            "INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET labels = labels + excluded.labels,"
            " predictions = predictions + excluded.predictions, correct = correct + excluded.correct",
            (uid, revision, predictions, labels, correct),
        )

    def _count(self, uid: str) -> dict[str, tuple[Accuracy, Accuracy]]:
        made: dict[str, tuple[Accuracy, Accuracy]] = {}
        rows = self._db.execute("SELECT revision, predictions, labels, correct FROM totals WHERE uid = ?", (uid,))
        for revision, predicted, labels, correct in rows.fetchall():
            recent = self._db.execute(
                "SELECT COUNT(*), COALESCE(SUM(correct), 0) FROM"
                " (SELECT correct FROM labels WHERE uid = ? AND revision = ? ORDER BY seq DESC LIMIT ?)",
                (uid, revision, RECENT),
            ).fetchone()
            made[revision] = (
                Accuracy(labels=labels, correct=correct, predictions=predicted),
                Accuracy(labels=recent[0], correct=recent[1], predictions=predicted),
            )
        return made

    def _trim(self, uid: str) -> None:
        oldest = self._now().timestamp() - MAX_AGE_S
        self._db.execute("DELETE FROM predictions WHERE uid = ? AND at < ?", (uid, oldest))
        edge = self._db.execute(
            "SELECT at FROM predictions WHERE uid = ? ORDER BY at DESC LIMIT 1 OFFSET ?", (uid, MAX_PREDICTIONS)
        ).fetchone()
        if edge:
            self._db.execute("DELETE FROM predictions WHERE uid = ? AND at <= ?", (uid, edge[0]))
        for (revision,) in self._db.execute("SELECT revision FROM totals WHERE uid = ?", (uid,)).fetchall():
            self._db.execute(
                "DELETE FROM labels WHERE uid = ? AND revision = ? AND seq <= (SELECT seq FROM labels WHERE uid = ?"
                " AND revision = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (uid, revision, uid, revision, MAX_LABELS),
            )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


def _correct(predicted: str, label: str) -> int:
    try:
        truth = predictions.parse(label)
    except ValueError:
        truth = label
    if isinstance(truth, list) and len(truth) == 1:
        truth = truth[0]
    return int(predictions.same_label(json.loads(predicted), truth))
