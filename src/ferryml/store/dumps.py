"""One consistent file of a whole database while it is in use, and the way back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect
from sqlalchemy.engine import make_url

from ferryml.domain.errors import Conflict, Refused, Unavailable
from ferryml.store.engines import make_engine, sqlite_file
from ferryml.store.files import move_into_place, sync_folder

LIMIT_S = 6 * 3600
"""Longest run of pg_dump or pg_restore."""
BUSY_S = 30


def suffix(url: str) -> str:
    """The kind of dump of that database: what one kind wrote, only the same kind reads."""
    return "pgdump" if sqlite_file(url) is None else "sqlite"


def exists(url: str) -> bool:
    """Whether there is anything that a restore would replace."""
    file = sqlite_file(url)
    if file is not None:
        return file.exists() and file.stat().st_size > 0
    engine = make_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def dump(url: str, target: Path) -> None:
    """Writes everything that was committed before now to `target`; writers go on meanwhile."""
    file = sqlite_file(url)
    if file is None:
        _postgres_tool("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
        return
    if not file.exists():
        raise Refused("FileNotFound", f"The database {file} does not exist.", "Start the server once, or check paths.")
    with closing(sqlite3.connect(file, timeout=BUSY_S)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def load(url: str, source: Path) -> None:
    """Replaces the database by the dump; an SQLite database at once. Raises Conflict(AlreadyRunning) if it is open.

    What was there before an SQLite restore is kept beside it as `NAME.before-restore`.
    """
    file = sqlite_file(url)
    if file is None:
        options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
        _postgres_tool("pg_restore", url, *options, "--exit-on-error", str(source))
        return
    if file.exists():
        settle(file)
        kept = file.with_name(f"{file.name}.before-restore")
        kept.unlink(missing_ok=True)
        os.link(file, kept)
    move_into_place(source, file)


def refuse_in_use(url: str) -> None:
    """Raises Conflict(AlreadyRunning) for an SQLite database that somebody has open; PostgreSQL looks after itself."""
    file = sqlite_file(url)
    if file is not None and file.exists():
        settle(file)


def settle(file: Path) -> None:
    """Folds SQLite's side files into the database, which works only if nobody has it open."""
    with closing(sqlite3.connect(file, timeout=1)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            raise Conflict(
                "AlreadyRunning", f"{file} is in use.", "Stop the server (`ferry down`), then restore again."
            ) from error
        except sqlite3.DatabaseError:
            # Beyond reading: what is restored must not inherit its side files.
            for ending in ("-wal", "-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)
    sync_folder(file.parent)


def _postgres_tool(tool: str, url: str, *arguments: str) -> None:
    program = shutil.which(tool)
    if program is None:
        raise Refused(
            "NotSupported",
            f"{tool} is not installed, and only it can copy a PostgreSQL database as it is.",
            "Install PostgreSQL's client programs, of the server's version or newer.",
        )
    parsed = make_url(url)
    # The password goes by the environment: other users can read a program's arguments.
    environment = {**os.environ, "PGPASSWORD": parsed.password or "", "PGCONNECT_TIMEOUT": "10"}
    plain = URL.create("postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, parsed.query)
    address = plain.render_as_string()
    done = subprocess.run(
        [program, f"--dbname={address}", *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1][:300]
        raise Unavailable("Unavailable", f"{tool} failed and said: {said}", "Check the database and try again.")
