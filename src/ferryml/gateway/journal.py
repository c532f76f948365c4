"""What work on this site has said: in order for each attempt, kept until the server has it, never said twice."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter

from ferryml.compile.tree import check_path
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from ferryml.domain.link import JournalEntry, LogChunk, MlflowCall, OutputRecord
from ferryml.domain.orders import TreeRef
from ferryml.domain.seen import Receipt
from ferryml.domain.statuses import OutputResult
from ferryml.gateway.database import Database

Item = LogChunk | MlflowCall | OutputRecord
_ITEM: TypeAdapter[Item] = TypeAdapter(Item)
KEPT_LOG = "state = 'held' AND json_extract(item, '$.kind') = 'log'"
"""Of entries: log lines that stay on the site."""
_OF_A_UID = (
    "streams", "outputs", "refusals", "logs", "runs", "facts", "answers", "artifacts", "admissions", "states", "shares",
    "finished", "sources", "checkpoints", "models",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token belongs to."""

    uid: str
    attempt: int
    workspace: str
    grant: str
    rank: int = 0
    """Which pod of a job of several."""
    kind: str = "job"
    """`preparation`: makes an environment, and nothing of it is for the server."""

    @property
    def key(self) -> tuple[str, int]:
        return self.uid, self.attempt


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that the server does not have yet, and the files that must be there before it."""

    entry: JournalEntry
    workspace: str
    blobs: tuple[str, ...]
    alone: bool = False
    """A batch with it was refused once: it goes by itself."""


class Journal:
    """Streams of entries by (uid, attempt)."""

    def __init__(self, db: Database, max_log_bytes: int) -> None:
        self._db, self._max_log = db, max_log_bytes
        self.changed = threading.Condition()
        """Notified when entries come or go."""
        self.news: Callable[[str, int], None] = lambda uid, attempt: None
        """Told when there may be another receipt of an attempt."""

    # who may write

    def admit(self, caller: Caller, token_hash: str) -> None:
        """Opens the stream; tokens of older attempts die. Pods need none: `token_hash` is empty then.

        Raises Forbidden(StaleAttempt) when a newer one is open.
        """
        with self._db.transaction():
            newest = self._db.row("SELECT MAX(attempt) FROM streams WHERE uid = ?", caller.uid)
            if newest and newest[0] is not None and cast(int, newest[0]) > caller.attempt:
                raise Forbidden("StaleAttempt", f"attempt {newest[0]!r} of {caller.uid} is open already")
            self._open(caller)
            self._db.run("DELETE FROM tokens WHERE uid = ? AND attempt < ?", caller.uid, caller.attempt)
            if token_hash:
                self._db.run("INSERT INTO tokens VALUES (?, ?, ?)", token_hash, caller.uid, caller.attempt)

    def renew(self, uid: str, workspace: str, grant: str) -> None:
        """What is still to be sent goes under the newer grant."""
        with self._db.transaction():
            if not self._db.run("UPDATE streams SET grant_text = ? WHERE uid = ?", grant, uid):
                self._open(Caller(uid, 1, workspace, grant))

    def dismiss(self, uid: str) -> None:
        with self._db.transaction():
            self._db.run("DELETE FROM tokens WHERE uid = ?", uid)
            self._db.run("UPDATE streams SET dismissed = 1 WHERE uid = ?", uid)
        self._notify()

    def who(self, token_hash: str) -> Caller | None:
        row = self._db.row(
            "SELECT s.uid, s.attempt, s.workspace, s.grant_text FROM tokens t "
            "JOIN streams s ON s.uid = t.uid AND s.attempt = t.attempt WHERE t.hash = ?",
            token_hash,
        )
        return Caller(*row) if row else None  # type: ignore[arg-type]

    def stream(self, uid: str, attempt: int) -> Caller:
        row = self._db.row("SELECT workspace, grant_text FROM streams WHERE uid = ? AND attempt = ?", uid, attempt)
        if row is None:
            raise NotFound("NotFound", f"attempt {attempt} of {uid} was never admitted here")
        return Caller(uid, attempt, str(row[0]), str(row[1]))

    def lived(self, uid: str) -> int:
        """The newest attempt that has said anything; 0 when none has."""
        row = self._db.row(
            "SELECT MAX(attempt) FROM streams s WHERE uid = ? AND (seq > 0 OR complete_seq IS NOT NULL "
            "OR EXISTS (SELECT 1 FROM states t WHERE t.uid = s.uid AND t.attempt = s.attempt))",
            uid,
        )
        return cast("int | None", row[0] if row else None) or 0

    # what they write

    def append(self, uid: str, attempt: int, item: Item, blobs: tuple[str, ...] = (), held: bool = False) -> int:
        """Durable when it returns; `held` entries stay on the site for ever. Returns the entry's seq."""
        with self._db.transaction():
            self._db.run("UPDATE streams SET seq = seq + 1 WHERE uid = ? AND attempt = ?", uid, attempt)
            row = self._db.row("SELECT seq FROM streams WHERE uid = ? AND attempt = ?", uid, attempt)
            if row is None:
                raise NotFound("NotFound", f"attempt {attempt} of {uid} was never admitted here")
            seq = cast(int, row[0])
            values = (uid, attempt, seq, "held" if held else "pending", item.model_dump_json(), json.dumps(blobs))
            self._db.run("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", *values)
            if held or (isinstance(item, OutputRecord) and item.bound):
                self._db.run_many("INSERT OR IGNORE INTO pins VALUES (?)", [(digest,) for digest in blobs])
        self._notify()
        return seq

    def append_log(self, caller: Caller, path: str, offset: int | None, data: bytes, held: bool = False) -> int:
        """Adds what lies past the present end; returns the new size.

        `offset=None` means at the end. Raises Conflict(OffsetMismatch) for a gap.
        """
        check_path(path)
        with self._db.transaction():
            row = self._db.row("SELECT size FROM logs WHERE uid = ? AND path = ?", caller.uid, path)
            size = cast(int, row[0]) if row else 0
            offset = size if offset is None else offset
            if offset > size:
                raise Conflict("OffsetMismatch", f"{path} has {size} bytes, not {offset}", details={"size": size})
            fresh = data[size - offset :][: max(0, self._max_log - size)]
            if not fresh:
                return size
            item = LogChunk(path=path, offset=size, data=base64.b64encode(fresh).decode())
            self.append(caller.uid, caller.attempt, item, held=held)
            self._db.run("REPLACE INTO logs VALUES (?, ?, ?)", caller.uid, path, size + len(fresh))
            if held:
                self._count_kept(caller.uid, len(fresh))
            return size + len(fresh)

    def add_output(self, caller: Caller, record: OutputRecord, blobs: tuple[str, ...]) -> int:
        """Records a complete output; `blobs` are its manifest and files. Said again, the last word counts."""
        with self._db.transaction():
            values = (caller.uid, caller.attempt, record.name, record.tree.model_dump_json(), int(record.bound))
            self._db.run("REPLACE INTO outputs VALUES (?, ?, ?, ?, ?)", *values)
            return self.append(caller.uid, caller.attempt, record, blobs)

    def complete(self, caller: Caller, exit_code: int) -> int:
        """The attempt has handed over everything; the first word counts."""
        with self._db.transaction():
            self._db.run(
                "UPDATE streams SET complete_seq = seq, exit_code = ? "
                "WHERE uid = ? AND attempt = ? AND complete_seq IS NULL",
                exit_code,
                *caller.key,
            )
            row = self._db.row("SELECT complete_seq FROM streams WHERE uid = ? AND attempt = ?", *caller.key)
            self._tell_news(*caller.key)
        return cast(int, row[0]) if row else 0

    # what became of it

    def outputs(self, uid: str, attempt: int) -> dict[str, OutputResult]:
        sql = "SELECT name, tree, bound FROM outputs WHERE uid = ? AND attempt = ? ORDER BY name"
        return {
            str(name): OutputResult(tree=TreeRef.model_validate_json(str(tree)), bound=bool(bound))
            for name, tree, bound in self._db.rows(sql, uid, attempt)
        }

    def receipt(self, uid: str, attempt: int) -> Receipt | None:
        """None until `complete`."""
        sql = "SELECT complete_seq, exit_code FROM streams WHERE uid = ? AND attempt = ?"
        row = self._db.row(sql, uid, attempt)
        if row is None or row[0] is None:
            return None
        waiting = self.waiting(uid, attempt, cast(int, row[0]))
        sql = "SELECT output, words FROM refusals WHERE uid = ? AND attempt = ? ORDER BY seq"
        refusals = self._db.rows(sql, uid, attempt)
        return Receipt(
            seq=cast(int, row[0]),
            exit_code=cast("int | None", row[1]),
            outputs=self.outputs(uid, attempt),
            forwarded=waiting == 0,
            waiting=waiting,
            refused=tuple(dict.fromkeys(str(words) for output, words in refusals if not output)),
            lost_outputs=tuple(f"output {output!s}: {words!s}" for output, words in refusals if output),
        )

    def waiting(self, uid: str, attempt: int, seq: int) -> int:
        """Entries up to `seq` that the server does not have yet."""
        sql = "SELECT COUNT(*) FROM entries WHERE state != 'held' AND uid = ? AND attempt = ? AND seq <= ?"
        row = self._db.row(sql, uid, attempt, seq)
        return cast(int, row[0]) if row else 0

    def last_seq(self, uid: str, attempt: int) -> int:
        row = self._db.row("SELECT seq FROM streams WHERE uid = ? AND attempt = ?", uid, attempt)
        return cast(int, row[0]) if row else 0

    # on to the server

    def streams_waiting(self) -> list[tuple[str, int]]:
        """The oldest attempt of each uid that has something to say: a newer one would fence it off."""
        sql = "SELECT uid, MIN(attempt) FROM entries WHERE state IN ('pending', 'alone') GROUP BY uid ORDER BY uid"
        return [(str(uid), cast(int, attempt)) for uid, attempt in self._db.rows(sql)]

    def pending(self, uid: str, attempt: int, limit: int) -> list[Pending]:
        caller = self.stream(uid, attempt)
        rows = self._db.rows(
            "SELECT seq, item, blobs, state FROM entries WHERE state != 'held' AND uid = ? AND attempt = ? "
            "ORDER BY seq LIMIT ?",
            uid,
            attempt,
            limit,
        )
        return [
            _pending(caller, cast(int, seq), str(item), str(blobs), state == "alone")
            for seq, item, blobs, state in rows
        ]

    def unsent_blobs(self) -> set[str]:
        """Files that entries still need here."""
        rows = self._db.rows("SELECT blobs FROM entries WHERE blobs != '[]'")
        return {digest for (blobs,) in rows for digest in json.loads(str(blobs))}

    def acknowledge(self, uid: str, attempt: int, seq: int) -> int:
        """The server has everything up to `seq`; returns how many entries that finished."""
        sql = "DELETE FROM entries WHERE state != 'held' AND uid = ? AND attempt = ? AND seq <= ?"
        gone = self._db.run(sql, uid, attempt, seq)
        self._notify()
        self._tell_news(uid, attempt)
        return gone

    def separate(self, parts: Sequence[Pending]) -> None:
        """A batch of these was refused as a whole: each is said again by itself, at the end of the stream."""
        uid, attempt = parts[0].entry.uid, parts[0].entry.attempt
        with self._db.transaction():
            for part in parts:
                self._db.run(
                    "DELETE FROM entries WHERE uid = ? AND attempt = ? AND seq = ?", uid, attempt, part.entry.seq
                )
                seq = self.append(uid, attempt, part.entry.item, part.blobs)
                self._db.run(
                    "UPDATE entries SET state = 'alone' WHERE uid = ? AND attempt = ? AND seq = ?", uid, attempt, seq
                )
            self._db.run(
                "UPDATE streams SET complete_seq = seq WHERE uid = ? AND attempt = ? AND complete_seq IS NOT NULL",
                uid,
                attempt,
            )

    def refuse(self, entry: JournalEntry, words: str) -> None:
        """The server will never take it: remembered, and not asked again."""
        output = entry.item.name if isinstance(entry.item, OutputRecord) else ""
        key = (entry.uid, entry.attempt, entry.seq)
        with self._db.transaction():
            self._db.run("DELETE FROM entries WHERE uid = ? AND attempt = ? AND seq = ?", *key)
            self._db.run("REPLACE INTO refusals VALUES (?, ?, ?, ?, ?)", *key, output, words)
        self._notify()
        self._tell_news(entry.uid, entry.attempt)

    def prune(self) -> int:
        """Forgets work that is over and wholly with the server; pinned bytes stay."""
        sql = (
            "SELECT uid FROM streams GROUP BY uid HAVING MIN(dismissed) = 1 "
            "AND uid NOT IN (SELECT uid FROM entries WHERE state != 'held')"
        )
        over = [str(uid) for (uid,) in self._db.rows(sql)]
        for uid in over:
            with self._db.transaction():
                for table in _OF_A_UID:
                    self._db.run(f"DELETE FROM {table} WHERE uid = ?", uid)  # noqa: S608  names are ours
        return len(over)

    def trim_kept_logs(self, limit: int) -> int:
        """Removes logs that stay here, of the work that spoke longest ago, down to `limit` bytes; returns how many."""
        gone = 0
        for uid, size in self._db.rows("SELECT uid, size FROM kept_logs ORDER BY turn"):
            row = self._db.row("SELECT COALESCE(SUM(size), 0) FROM kept_logs")
            if row is None or cast(int, row[0]) <= limit:
                break
            with self._db.transaction():
                self._db.run(f"DELETE FROM entries WHERE uid = ? AND {KEPT_LOG}", uid)  # noqa: S608  a constant
                self._db.run("DELETE FROM kept_logs WHERE uid = ?", uid)
            gone += cast(int, size)
        return gone

    def _count_kept(self, uid: str, size: int) -> None:
        self._db.run(
            "INSERT INTO kept_logs VALUES (?, ?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM kept_logs)) "
            "ON CONFLICT DO UPDATE SET size = size + excluded.size, turn = excluded.turn",
            uid,
            size,
        )

    def _open(self, caller: Caller) -> None:
        self._db.run(
            "INSERT INTO streams (uid, attempt, workspace, grant_text) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET grant_text = excluded.grant_text, dismissed = 0",
            caller.uid,
            caller.attempt,
            caller.workspace,
            caller.grant,
        )

    def _tell_news(self, uid: str, attempt: int) -> None:
        """Only of what is complete: before that there is no receipt."""
        row = self._db.row("SELECT complete_seq FROM streams WHERE uid = ? AND attempt = ?", uid, attempt)
        if row is not None and row[0] is not None:
            self._db.after(lambda: self.news(uid, attempt))

    def _notify(self) -> None:
        """Never under the database's lock: those who wait for changes look into it."""
        self._db.after(self._tell)

    def _tell(self) -> None:
        with self.changed:
            self.changed.notify_all()


def _pending(caller: Caller, seq: int, item: str, blobs: str, alone: bool) -> Pending:
    entry = JournalEntry(
        uid=caller.uid, attempt=caller.attempt, seq=seq, grant=caller.grant, item=_ITEM.validate_json(item)
    )
    return Pending(entry, caller.workspace, tuple(json.loads(blobs)), alone)


def check_offset(text: str) -> int:
    """A query value as an offset. Raises Refused(BadValue)."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refused("BadValue", "offset must be a number of bytes, not negative")
    return int(text)
