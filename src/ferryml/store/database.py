"""The store: transactions over SQLite or PostgreSQL, durable when they have been left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy import exc as sql

from ferryml.control.ports import Tx
from ferryml.domain.errors import Defect, FerryError, Refused, Unavailable
from ferryml.store.content import Content
from ferryml.store.engines import make_engine, make_reader, sqlite_file
from ferryml.store.link import Link
from ferryml.store.memory import Memory
from ferryml.store.migrations import upgrade
from ferryml.store.rows import Rows
from ferryml.store.session import Clock
from ferryml.store.wakes import NOTIFY_CHANNEL, FileWakes, NotifyWakes, Wakes

_log = logging.getLogger(__name__)

TURN_S = 30
"""How long a transaction waits for its turn before it says Unavailable."""


class SqlTx(Rows, Link, Content, Memory):
    """One transaction with everything that `control.ports.Tx` names."""


class SqlStore:
    """`control.ports.Store` at an SQLAlchemy URL whose tables exist (see `open_store`).

    `begin` writes: on SQLite one transaction at a time, on PostgreSQL with row locks. `read` sees one moment, never
    waits for writers and cannot write. `clock` stands in for the database's clock in tests.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = url
        self._clock = clock
        self._engine = make_engine(url)
        self._reader = make_reader(url, self._engine)
        file = sqlite_file(url)
        self._sqlite = file is not None
        # Waiting in line here is cheaper and fairer than SQLite's own polling for its lock.
        self._turn = threading.Lock()
        self._mine = threading.local()
        self._wakes = _wakes(self._engine, file)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        if not self._sqlite:
            with self._transaction(reading=False) as tx:
                yield tx
            return
        with self._taking_turns(), self._transaction(reading=False) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        with self._transaction(reading=True) as tx:
            yield tx

    def wake(self, channel: str) -> None:
        self._wakes.wake(channel)

    def wait(self, channel: str, timeout_s: float) -> bool:
        """Anything that was woken since this thread last opened a transaction counts: look, then wait."""
        return self._wakes.wait(channel, timeout_s)

    def close(self) -> None:
        self._wakes.close()
        self._reader.dispose()
        self._engine.dispose()

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if getattr(self._mine, "open", False):
            raise Defect("Internal", "A transaction was opened inside another of the same thread.")
        if not self._turn.acquire(timeout=TURN_S):
            raise Unavailable("Unavailable", "The database is busy with another transaction.", "Try again in a moment.")
        self._mine.open = True
        try:
            yield
        finally:
            self._mine.open = False
            self._turn.release()

    @contextmanager
    def _transaction(self, reading: bool) -> Iterator[SqlTx]:
        self._wakes.mark()
        try:
            with (self._reader if reading else self._engine).begin() as connection:
                tx = SqlTx(connection, self._clock, reading)
                yield tx
                tx.flush()
        except (sql.SQLAlchemyError, UnicodeEncodeError) as error:
            raise _translated(error, reading) from error


def open_store(url: str, clock: Clock | None = None) -> SqlStore:
    """Makes or migrates the tables, then opens the store."""
    upgrade(url)
    return SqlStore(url, clock)


def _wakes(engine: Engine, file: Path | None) -> Wakes:
    if file is not None:
        return FileWakes(file.with_name(file.name + "-wakes"))

    def send(payload: str) -> None:
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(
                    text("SELECT pg_notify(:channel, :payload)"), {"channel": NOTIFY_CHANNEL, "payload": payload}
                )
        except sql.SQLAlchemyError as error:
            # What was committed stands; other replicas look again by themselves after their timeout.
            _log.warning("cannot wake other replicas: %s", type(error).__name__)

    return NotifyWakes(engine.url.set(drivername="postgresql").render_as_string(hide_password=False), send)


def _translated(error: Exception, reading: bool) -> FerryError:
    """The story of the database in our words; its own message may hold values, so it stays in the cause."""
    said = str(getattr(error, "orig", error)).lower()
    state = getattr(getattr(error, "orig", None), "sqlstate", "") or ""
    if "disk is full" in said or "no space left" in said or state == "53100":
        return Unavailable("DiskFull", "The disk of the database has no room left.", "Free space, then try again.")
    if reading and ("readonly" in said or state == "25006"):
        return Defect("Internal", "A transaction that was opened for reading tried to write.")
    # 54000: a name too long for an index.
    if isinstance(error, sql.DataError | UnicodeEncodeError) or state == "54000":
        return Refused("BadValue", "A text or number cannot be stored.", "Remove control characters; use UTF-8.")
    if isinstance(error, sql.OperationalError | sql.InterfaceError | sql.TimeoutError | sql.InternalError):
        return Unavailable("Unavailable", "The database does not answer or is busy.", "Try again in a moment.")
    return Defect("Internal", f"The database refused a statement ({type(error).__name__}).")
