"""Prepared environments of this site: which archive a key stands for, and the lock that it was made from."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field

from ferryml.compile.environment import with_key
from ferryml.domain.errors import Conflict, Forbidden, NotFound
from ferryml.domain.orders import Digest, EnvironmentOrder, Json
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller
from ferryml.gateway.pulse import Pulse
from ferryml.gateway.store import SiteStore

UID, IMAGE_UID = "environment.", "image."
LOCK_LIMIT = 4 << 20


class EnvironmentSaid(BaseModel):
    """Body of `POST /v1/environment`, said by the pod that made it."""

    digest: Digest
    lock: str = Field(max_length=LOCK_LIMIT)
    python: str = Field("", max_length=100)
    notes: list[str] = Field([], max_length=100)
    order: EnvironmentOrder | None = None
    """What was asked for, with the lock that was asked for."""


class Environments:
    """Archives are blobs of the site store: what is used least goes first, and is made anew when it is missed."""

    def __init__(self, db: Database, store: SiteStore, pulse: Pulse) -> None:
        self._db, self._store, self._pulse = db, store, pulse

    def take(self, caller: Caller, said: EnvironmentSaid) -> None:
        """Raises Forbidden for everybody but the pod that prepares it."""
        if caller.kind != "preparation" or not caller.uid.startswith(UID):
            raise Forbidden("Forbidden", "only a preparation hands over an environment")
        if not self._store.has(said.digest):
            raise Conflict("BlobMissing", "the archive was not sent", "PUT it first.")
        key, size = caller.uid[len(UID) :], self._store.size(said.digest)
        values = (said.digest, size, said.lock, said.python, json.dumps([note[:1000] for note in said.notes]))
        with self._db.transaction():
            for each in {key, _locked(key, said)}:
                self._db.run("REPLACE INTO environments VALUES (?, ?, ?, ?, ?, ?)", each, *values)
        self._pulse.tell(*caller.key)

    def get(self, key: str) -> dict[str, Json]:
        """Raises NotFound when there is none (any more)."""
        row = self._db.row("SELECT digest, size, lock, python, notes FROM environments WHERE key = ?", key)
        if row is None or not self._store.has(str(row[0])):
            raise NotFound("NotFound", f"environment {key[:80]} is not here")
        self._store.path(str(row[0]))
        digest, size, lock, python, notes = row
        return {"digest": digest, "size": size, "lock": lock, "python": python, "notes": json.loads(str(notes))}

    def keep_image(self, key: str, image: str) -> None:
        """What the site's agent says came of a build; the pods that built it are not asked."""
        self._db.run("REPLACE INTO images VALUES (?, ?)", key, image)

    def image(self, key: str) -> str:
        """By digest; empty when none was built."""
        row = self._db.row("SELECT image FROM images WHERE key = ?", key)
        return str(row[0]) if row is not None else ""

    def has(self, digest: str) -> bool:
        """Whether this file is an environment: any work of the site that knows the digest may have it."""
        return self._db.row("SELECT 1 FROM environments WHERE digest = ?", digest) is not None


def _locked(key: str, said: EnvironmentSaid) -> str:
    """The key under which the same environment is asked for from now on, with the lock that came of it.

    The order comes from a pod: it counts only if it is what its own key was made from.
    """
    order = said.order
    if order is None or not said.lock or with_key(order).key != key:
        return key
    return with_key(order.model_copy(update={"lock": said.lock})).key
