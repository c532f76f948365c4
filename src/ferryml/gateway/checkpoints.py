"""Outputs so far of attempts that run: kept on this site for the next attempt, never passed on."""

from __future__ import annotations

from collections.abc import Callable

from ferryml.domain.orders import Tree, TreeRef
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller


class Checkpoints:
    """The newest word on each output; durable.

    Args:
        read: a tree of the site store by its digest.
    """

    def __init__(self, db: Database, read: Callable[[str], Tree]) -> None:
        self._db, self._read = db, read

    def keep(self, caller: Caller, name: str, tree: TreeRef) -> None:
        """Replaces what was kept of it; what the attempts before the last left is not needed any more."""
        with self._db.transaction():
            self._db.run("DELETE FROM checkpoints WHERE uid = ? AND attempt < ?", caller.uid, caller.attempt - 1)
            self._db.run("REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", *caller.key, name, tree.model_dump_json())

    def of(self, uid: str, attempt: int) -> dict[str, TreeRef]:
        """Of that attempt; where it kept nothing, what it had itself begun with."""
        for each in (attempt, attempt - 1):
            rows = self._db.rows("SELECT name, tree FROM checkpoints WHERE uid = ? AND attempt = ?", uid, each)
            if rows:
                return {str(name): TreeRef.model_validate_json(str(tree)) for name, tree in rows}
        return {}

    def over(self, uid: str, attempt: int) -> None:
        """It has handed over everything."""
        self._db.run("DELETE FROM checkpoints WHERE uid = ? AND attempt <= ?", uid, attempt)

    def digests(self) -> set[str]:
        """Files that must stay on the site for them, the ranks' parts among them."""
        trees = self._db.rows("SELECT DISTINCT tree FROM checkpoints")
        parts = self._db.rows("SELECT digest FROM shares WHERE uid IN (SELECT uid FROM checkpoints)")
        kept = {TreeRef.model_validate_json(str(tree)).digest for (tree,) in trees} | {str(part) for (part,) in parts}
        return kept | {entry.digest for digest in kept for entry in self._read(digest).entries}
