"""What every part of a transaction stands on: the connection, the database's clock, the words both databases share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Clock = Callable[[], datetime]


def to_micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def canonical(value: object) -> str:
    """JSON text that is equal exactly when the values are equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def inserting(table: Table, postgres: bool) -> Any:
    """An insert that knows ON CONFLICT; both databases spell it alike, SQLAlchemy has it once per dialect."""
    return postgresql.insert(table) if postgres else sqlite.insert(table)


class Session:
    """One open transaction. `clock` stands in for the database's clock in tests."""

    def __init__(self, connection: Connection, clock: Clock | None = None, reading: bool = False) -> None:
        self.connection = connection
        self.postgres = connection.dialect.name == "postgresql"
        # SQLite lets one writer in at a time; PostgreSQL needs row locks where order matters.
        self.locks = self.postgres and not reading
        self._clock = clock
        self._now: datetime | None = None

    def now(self) -> datetime:
        if self._now is None:
            self._now = self.clock()
        return self._now

    def micros(self) -> int:
        return to_micros(self.now())

    def clock(self) -> datetime:
        """The present, which moves on within the transaction."""
        if self._clock is not None:
            return self._clock().astimezone(UTC)
        if self.postgres:
            moment: datetime = self.connection.execute(_POSTGRES_CLOCK).scalar_one()
            return moment.astimezone(UTC)
        return datetime.fromisoformat(self.connection.execute(_SQLITE_CLOCK).scalar_one())

    def into(self, table: Table) -> Any:
        return inserting(table, self.postgres)

    def put(self, table: Table, key: Mapping[str, object], values: Mapping[str, object]) -> None:
        """Inserts, or replaces `values` of the row with that key."""
        statement = self.into(table).values(**key, **values)
        self.connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))

    def add(self, table: Table, row: Mapping[str, object]) -> None:
        """Inserts unless it is there."""
        self.connection.execute(self.into(table).values(**row).on_conflict_do_nothing())

    def flush(self) -> None:
        """What was saved up for the end of the transaction."""


_POSTGRES_CLOCK = text("SELECT clock_timestamp()")
_SQLITE_CLOCK = text("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
