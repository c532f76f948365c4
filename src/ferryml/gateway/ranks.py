"""Jobs of several pods: each hands over its part, and the job is complete when all have, or when none can any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ferryml.domain.orders import Tree
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller


class Ranks:
    """What is known of the parts; durable."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def joined(self, caller: Caller, name: str, digest: str, tree: Tree, read: Callable[[str], Tree]) -> Tree:
        """The output as all ranks have it so far; where two wrote the same path, the lower rank's file counts.

        Args:
            digest: of `tree`.
            read: a tree by its digest.
        """
        with self._db.transaction():
            values = (caller.uid, caller.attempt, name, caller.rank, digest)
            self._db.run("REPLACE INTO shares VALUES (?, ?, ?, ?, ?)", *values)
            rows = self._db.rows(
                "SELECT digest FROM shares WHERE uid = ? AND attempt = ? AND name = ? ORDER BY rank DESC",
                caller.uid,
                caller.attempt,
                name,
            )
        if len(rows) == 1:
            return tree
        trees = [tree if part == digest else read(str(part)) for (part,) in rows]
        entries = {entry.path: entry for each in trees for entry in each.entries}
        return Tree(entries=tuple(entries[path] for path in sorted(entries)))

    def finish(self, caller: Caller, exit_code: int, of: int) -> int | None:
        """The job's exit code once all `of` ranks have finished: the first failure, else 0; None before that."""
        with self._db.transaction():
            self._db.run("REPLACE INTO finished VALUES (?, ?, ?, ?)", *caller.key, caller.rank, exit_code)
            return self.exit_code(caller.uid, caller.attempt, of)

    def exit_code(self, uid: str, attempt: int, of: int = 1) -> int | None:
        """As `finish`; with `of=1` of those that have finished."""
        sql = "SELECT exit_code FROM finished WHERE uid = ? AND attempt = ? ORDER BY rank"
        codes = [cast(int, code) for (code,) in self._db.rows(sql, uid, attempt)]
        return next((code for code in codes if code), 0) if len(codes) >= of else None
