"""Engines with the promises the store makes: durable on commit, one writer on SQLite, one moment for readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from ferryml.domain.errors import Refused

BUSY_S = 30
"""How long SQLite waits for another process."""

READING: dict[str, dict[str, Any]] = {
    "sqlite": {"ferry_begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def make_engine(url: str) -> Engine:
    """SQLite (`sqlite:///PATH`) or PostgreSQL (`postgresql+psycopg://`, `postgresql://`)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=10, max_overflow=40, pool_pre_ping=True
        )
    if parsed.get_backend_name() != "sqlite":
        raise Refused(
            "NotSupported",
            f"Ferry keeps its rows in SQLite or PostgreSQL, not in {parsed.get_backend_name()}.",
            "Set database_url to sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME.",
        )
    return _sqlite_engine(url)


def sqlite_file(url: str) -> Path | None:
    """Where a SQLite URL keeps its file; None for PostgreSQL."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _sqlite_engine(url: str) -> Engine:
    file = sqlite_file(url)
    if file is None or str(file) == ":memory:":
        raise Refused("BadValue", "SQLite needs a file: what is only in memory is lost.", "Use sqlite:///PATH.")
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, pool_size=10, max_overflow=40, connect_args={"timeout": BUSY_S, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # The driver would begin on its own, and too late; we begin ourselves, as writer or as reader.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("ferry_begin", "BEGIN IMMEDIATE"))
