import sqlite3
from contextlib import closing

import pytest

from ferryml.domain.errors import Conflict, Refused
from ferryml.store import dumps


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            result = connection.execute(statement).fetchall()
        connection.commit()
        return result


@pytest.fixture
def database(tmp_path):
    run(tmp_path / "x.db", "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    return f"sqlite:///{tmp_path}/x.db"


def test_a_dump_is_one_file_with_all_that_was_committed(tmp_path, database):
    with closing(sqlite3.connect(tmp_path / "x.db")) as user:
        user.execute("INSERT INTO t VALUES (2)")
        user.commit()
        user.execute("INSERT INTO t VALUES (3)")
        dumps.dump(database, tmp_path / "copy")
    assert run(tmp_path / "copy", "SELECT a FROM t") == [(1,), (2,)]
    assert run(tmp_path / "copy", "PRAGMA journal_mode") == [("delete",)]


def test_load_replaces_and_keeps_what_was_there(tmp_path, database):
    dumps.dump(database, tmp_path / "copy")
    run(tmp_path / "x.db", "INSERT INTO t VALUES (2)")
    dumps.load(database, tmp_path / "copy")
    assert run(tmp_path / "x.db", "SELECT a FROM t") == [(1,)]
    assert run(tmp_path / "x.db.before-restore", "SELECT a FROM t") == [(1,), (2,)]
    assert not (tmp_path / "copy").exists()


def test_load_does_not_touch_what_is_in_use(tmp_path, database):
    dumps.dump(database, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "x.db")) as user:
        user.execute("SELECT * FROM t").fetchall()
        with pytest.raises(Conflict) as caught:
            dumps.load(database, tmp_path / "copy")
    assert caught.value.code == "AlreadyRunning"


def test_exists_tells_empty_from_used(tmp_path, database):
    assert dumps.exists(database)
    assert not dumps.exists(f"sqlite:///{tmp_path}/absent.db")
    (tmp_path / "empty.db").touch()
    assert not dumps.exists(f"sqlite:///{tmp_path}/empty.db")


def test_nothing_to_dump_is_said_and_not_made(tmp_path):
    with pytest.raises(Refused):
        dumps.dump(f"sqlite:///{tmp_path}/absent.db", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("url", "kind"), [("sqlite:////x", "sqlite"), ("postgresql://h/x", "pgdump")])
def test_the_kind_of_a_dump(url, kind):
    assert dumps.suffix(url) == kind
