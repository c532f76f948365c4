import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ferryml.domain.errors import Refused
from ferryml.store.engines import make_engine, make_reader, sqlite_file


def pragma(engine, name):
    with engine.begin() as connection:
        return connection.execute(text(f"PRAGMA {name}")).scalar_one()


def test_sqlite_keeps_its_promises(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/deep/x.db")
    assert pragma(engine, "synchronous") == 2  # FULL
    assert pragma(engine, "foreign_keys") == 1
    assert pragma(engine, "busy_timeout") >= 10_000
    engine.dispose()


def test_a_writer_holds_the_lock_from_its_beginning(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as first, engine.connect() as second:
        first.execute(text("SELECT 1"))
        raw = second.connection.dbapi_connection
        raw.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(OperationalError, match="locked"):
            second.begin()
    engine.dispose()


def test_a_reader_cannot_write(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    writer = make_engine(url)
    with writer.begin() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    reader = make_reader(url, writer)
    with pytest.raises(OperationalError, match="readonly"), reader.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    reader.dispose()
    writer.dispose()


def test_the_file_of_a_url(tmp_path):
    assert sqlite_file(f"sqlite:///{tmp_path}/x.db") == tmp_path / "x.db"
    assert sqlite_file("postgresql+psycopg://h/x") is None
    with pytest.raises(Refused):
        make_engine("oracle://h/x")


@pytest.mark.parametrize("url", ["postgresql://h/x", "postgresql+psycopg://h/x", "postgresql+psycopg2://h/x"])
def test_one_driver_for_postgres(url):
    engine = make_engine(url)
    assert engine.driver == "psycopg"
    engine.dispose()
