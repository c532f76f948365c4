"""What is special about the store on SQLite; the contract of all stores is in tests/contract/test_store*.py."""

import threading

import pytest

from ferryml.control.ports import Row
from ferryml.domain.errors import Defect, Unavailable
from ferryml.store import database
from ferryml.store.database import SqlStore, open_store


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/ferry.db")
    yield opened
    opened.close()


def test_a_transaction_inside_another_is_a_defect_and_not_a_deadlock(store):
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name="fox"))
        with pytest.raises(Defect), store.begin():
            pass
        with store.read() as reader:
            assert reader.find("job") == []
    with store.read() as reader:
        assert len(reader.find("job")) == 1


def test_a_store_that_stays_busy_is_unavailable(store, monkeypatch):
    monkeypatch.setattr(database, "TURN_S", 0.01)
    answers = []

    def try_it():
        try:
            with store.begin():
                answers.append("in")
        except Unavailable as error:
            answers.append(error.code)

    with store.begin():
        other = threading.Thread(target=try_it)
        other.start()
        other.join(10)
    assert answers == ["Unavailable"]


def test_a_full_disk_is_said_and_nothing_is_half(store):
    with pytest.raises(Unavailable) as caught:
        _fill(store)
    assert caught.value.code == "DiskFull"
    with store.read() as tx:
        assert tx.find("job") == []


def _fill(store):
    with store.begin() as tx:
        (pages,) = tx.connection.exec_driver_sql("PRAGMA page_count").one()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
        for number in range(100):
            tx.insert(Row(kind="job", workspace="vision", name=str(number), spec={"x": "y" * 10_000}))


def test_a_database_that_was_never_made_says_so(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/ferry.db")
    with pytest.raises(Unavailable), store.read() as tx:
        tx.find("job")
    store.close()
