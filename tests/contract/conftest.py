"""The stores that one contract is tried on: SQLite in a folder and a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from ferryml.store.database import SqlStore, open_store

# Long enough for a PostgreSQL that is still being installed.
PATIENCE = pytest.mark.timeout(1020)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=PATIENCE)])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/ferry.db"


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An open store, empty but for its epoch."""
    opened = open_store(store_url)
    yield opened
    opened.close()
