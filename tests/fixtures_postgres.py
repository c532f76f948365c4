"""A real PostgreSQL server of the test run's own, and a fresh database for each test."""

import itertools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures_components import serve, stop, unused_port

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(component) -> Iterator[str]:
    """The address of a server that lives as long as the run: `postgresql://postgres:...@127.0.0.1:PORT`."""
    folder = Path(component("postgres")["bin"])
    data = Path(tempfile.mkdtemp(prefix="ferry-postgres-"))
    password = secrets.token_hex(16)
    who = _not_root()
    try:
        (data / "password").write_text(password)
        if who:
            for path in (data, data / "password"):
                os.chown(path, who["user"], who["group"])
        cluster = data / "cluster"
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={data / 'password'}", "--encoding=UTF8"]
        locale = ["--locale=C", "--no-sync"]
        subprocess.run(
            [folder / "initdb", "-D", cluster, *options, *locale], check=True, capture_output=True, timeout=120, **who
        )
        port = unused_port()
        knobs = ["fsync=off", "full_page_writes=off", "max_connections=100", "listen_addresses=127.0.0.1"]
        arguments = [part for knob in knobs for part in ("-c", knob)]
        server = serve(
            [str(folder / "postgres"), "-D", str(cluster), "-p", str(port), "-k", str(data), *arguments], port, **who
        )
        try:
            address = f"postgresql://postgres:{password}@127.0.0.1:{port}"
            _until_it_answers(f"{address}/postgres")
            yield address
        finally:
            stop(server, signal.SIGINT)  # "fast": open sessions are ended
    finally:
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A SQLAlchemy URL (`postgresql+psycopg://`) of an empty database that only this test knows."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_server}/{name}".replace("postgresql://", "postgresql+psycopg://")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _until_it_answers(address: str, limit_s: float = 60) -> None:
    """It listens before it is ready: until then it refuses with `the database system is starting up`."""
    import psycopg

    until = time.monotonic() + limit_s
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def _not_root() -> dict[str, int | list[int]]:
    """PostgreSQL refuses to run as root; everyone else runs it as themselves."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("neither the user postgres nor nobody exists to run PostgreSQL as")
