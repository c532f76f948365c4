"""Engines with the promises the store makes: durable on commit, one writer on SQLite, one moment for readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from ferryml.domain.errors import Refused

BUSY_S = 30
"""How long SQLite waits for another process."""


def make_engine(url: str) -> Engine:
    """For writers: SQLite (`sqlite:///PATH`) or PostgreSQL (`postgresql+psycopg://`, `postgresql://`)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=10, max_overflow=20, pool_pre_ping=True
        )
    if parsed.get_backend_name() != "sqlite":
        raise Refused(
            "NotSupported",
            f"Ferry keeps its rows in SQLite or PostgreSQL, not in {parsed.get_backend_name()}.",
            "Set database_url to sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME.",
        )
    return _sqlite_engine(url, _begin_writing)


def make_reader(url: str, writer: Engine) -> Engine:
    """For readers: each transaction sees one moment, and writing fails."""
    if writer.dialect.name == "postgresql":
        return writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    engine = _sqlite_engine(url, _begin_reading)
    event.listen(engine, "connect", _only_read)
    return engine


def sqlite_file(url: str) -> Path | None:
    """Where a SQLite URL keeps its file; None for PostgreSQL."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _sqlite_engine(url: str, begin: Callable[[Connection], None]) -> Engine:
    file = sqlite_file(url)
    if file is None or str(file) == ":memory:":
        raise Refused("BadValue", "SQLite needs a file: what is only in memory is lost.", "Use sqlite:///PATH.")
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, pool_size=10, max_overflow=40, connect_args={"timeout": BUSY_S, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # The driver would begin on its own, and too late; we begin ourselves, as writer or as reader.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")


def _only_read(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
