"""Reads logs that stay on the site, beside a gateway that may be running: for IT, where the site store is."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ferryml.domain.errors import NotFound, Unavailable
from ferryml.domain.orders import Json
from ferryml.domain.uids import split_uid, uid_of
from ferryml.gateway.journal import KEPT_LOG

PATH, OFFSET, DATA = (f"json_extract(item, '$.{part}')" for part in ("path", "offset", "data"))
END = f"{OFFSET} + LENGTH({DATA}) / 4 * 3 - LENGTH({DATA}) + LENGTH(RTRIM({DATA}, '='))"
"""Where the bytes of an entry end: its data is base64."""


class KeptLogs:
    """Log lines that the journal holds back, by work and file; nothing is written.

    Raises NotFound when there is no journal, Unavailable when it cannot be read.
    """

    def __init__(self, journal: Path) -> None:
        if not journal.is_file():
            hint = "Run this where the gateway keeps its state, with its settings."
            raise NotFound("NotFound", f"there is no journal at {journal}", hint)
        self._journal = journal

    def list(self, workspace: str = "", job: str = "") -> list[Json]:
        """`[{workspace, job, path, size}]`, sizes in bytes; of a deployment's logs `job` is the endpoint."""
        sql = f"SELECT uid, {PATH}, MAX({END}) FROM entries WHERE {KEPT_LOG} GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608  constants
        found: list[Json] = []
        for uid, path, size in self._rows(sql):
            _, place, name = split_uid(str(uid))
            if workspace in ("", place) and job in ("", name):
                found.append({"workspace": place, "job": name, "path": path, "size": size})
        return found

    def read(self, workspace: str, job: str, path: str) -> Iterator[bytes]:
        """The file piece by piece, in order. Raises NotFound when nothing of it stays here."""
        sql = f"SELECT {DATA} FROM entries WHERE {KEPT_LOG} AND uid IN (?, ?) AND {PATH} = ? ORDER BY {OFFSET}"  # noqa: S608  constants
        found = False
        for (data,) in self._rows(sql, uid_of("job", workspace, job), uid_of("endpoint", workspace, job), path):
            found = True
            yield base64.b64decode(str(data))
        if not found:
            words = f"no log {path!r} of {job} in workspace {workspace} stays here"
            raise NotFound("NotFound", words, "`ferry gateway logs` without a name lists all of them.")

    def _rows(self, sql: str, *values: str) -> Iterator[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self._journal))}?mode=ro", uri=True)) as db:
                yield from db.execute(sql, values)
        except sqlite3.Error as error:
            raise Unavailable(
                "Unavailable", f"the journal {self._journal} cannot be read: {error}", "Run this as the gateway's user."
            ) from error
