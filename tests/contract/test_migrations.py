"""Every start brings the tables up to date, on every database, however many start at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ferryml.domain.errors import Defect, Refused, Unavailable
from ferryml.store import migrations
from ferryml.store.database import open_store
from ferryml.store.engines import make_engine
from ferryml.store.migrations import upgrade
from ferryml.store.tables import metadata

SCRIPTS = ScriptDirectory(str(Path(migrations.__file__).parent))
PROGRAM = "import sys; from ferryml.store.migrations import upgrade; upgrade(sys.argv[1])"


def run(url, statement, **values):
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.all() if result.returns_rows else []
    finally:
        engine.dispose()


def revision(url):
    return run(url, "SELECT version_num FROM alembic_version")[0][0]


def test_a_fresh_database_gets_the_tables_that_the_code_speaks_of(store_url):
    upgrade(store_url)
    engine = make_engine(store_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()
    assert revision(store_url) == SCRIPTS.get_current_head()


def test_a_second_start_changes_nothing(store_url):
    upgrade(store_url)
    epoch = run(store_url, "SELECT value FROM facts WHERE name = 'epoch'")
    upgrade(store_url)
    assert run(store_url, "SELECT value FROM facts WHERE name = 'epoch'") == epoch


def test_two_databases_are_two_epochs(tmp_path):
    epochs = set()
    for name in ("a", "b"):
        store = open_store(f"sqlite:///{tmp_path}/{name}.db")
        with store.read() as tx:
            epochs.add(tx.epoch())
        store.close()
    assert len(epochs) == 2


def test_processes_that_start_at_once_do_not_disturb_each_other(store_url):
    starters = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, store_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [starter.communicate(timeout=90)[1] for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0], said
    assert revision(store_url) == SCRIPTS.get_current_head()


@pytest.mark.parametrize("old", [script.revision for script in SCRIPTS.walk_revisions()])
def test_each_older_revision_comes_to_the_newest(store_url, old):
    upgrade(store_url, old)
    assert revision(store_url) == old
    run(
        store_url,
        "INSERT INTO resources (kind, workspace, name, version, spec, status, phase, parent, labels, created_by,"
        " archived, etag, created_at, updated_at) VALUES ('job', 'vision', 'fox', '', '{}', '{}', '', '', '{}', '',"
        " :no, 1, 0, 0)",
        no=False,
    )
    store = open_store(store_url)
    with store.read() as tx:
        assert [row.name for row in tx.find("job")] == ["fox"]
    store.close()


def test_a_database_of_a_newer_version_is_refused_untouched(store_url):
    upgrade(store_url)
    run(store_url, "UPDATE alembic_version SET version_num = 'from_the_future'")
    with pytest.raises(Refused) as caught:
        open_store(store_url)
    assert caught.value.code == "DatabaseTooNew"
    assert "from_the_future" in caught.value.message
    assert revision(store_url) == "from_the_future"


def test_a_migration_that_fails_leaves_nothing_half(store_url):
    run(store_url, "CREATE TABLE leases (mine TEXT)")
    with pytest.raises(Defect):
        upgrade(store_url)
    engine = make_engine(store_url)
    assert inspect(engine).get_table_names() == ["leases"]
    engine.dispose()


def test_a_server_that_does_not_answer_is_unavailable(free_port):
    with pytest.raises(Unavailable):
        upgrade(f"postgresql+psycopg://nobody@127.0.0.1:{free_port}/nothing")


@pytest.mark.parametrize(
    ("url", "code"), [("sqlite://", "BadValue"), ("sqlite:///:memory:", "BadValue"), ("mysql://h/d", "NotSupported")]
)
def test_other_databases_are_refused(url, code):
    with pytest.raises(Refused) as caught:
        upgrade(url)
    assert caught.value.code == code
