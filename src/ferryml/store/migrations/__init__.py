"""Brings a database to the shape that this code knows; run at every start, by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy import exc as sql

from ferryml.domain.errors import Defect, Refused, Unavailable
from ferryml.store.engines import make_engine, sqlite_file


def upgrade(url: str, revision: str = "head") -> None:
    """All or nothing. Raises Refused(DatabaseTooNew) when a newer Ferry was here before."""
    engine = make_engine(url)
    try:
        with _alone(engine, sqlite_file(url)):
            _upgrade(engine, revision)
    except sql.DBAPIError as error:
        if error.statement is not None and "locked" not in str(error.orig):
            raise Defect("Internal", "The database could not be brought up to date; nothing was changed.") from error
        raise Unavailable(
            "Unavailable", "The database cannot be reached or is busy.", "Check database_url and that it is running."
        ) from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine, revision: str) -> None:
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            # Any number that no other advisory lock of this database uses.
            connection.execute(text("SELECT pg_advisory_xact_lock(4607182418800016)"))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, revision)


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise Refused(
            "DatabaseTooNew",
            f"The database has revision {', '.join(sorted(unknown))}; this version of Ferry knows only up to "
            f"{scripts.get_current_head()}.",
            "Start the newer version of Ferry again, or restore a backup made with this one.",
        )


@contextmanager
def _alone(engine: Engine, file: Path | None) -> Iterator[None]:
    if file is None:
        yield
        return
    descriptor = os.open(file.with_name(file.name + "-lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write_ahead(engine)
        yield
    finally:
        os.close(descriptor)


def _write_ahead(engine: Engine) -> None:
    """Stays with the file; two processes that switch at once would get `database is locked`."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        raw.close()
