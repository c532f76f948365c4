"""The gateway's database: transactions that join, and news that are told only when nothing is locked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ferryml.domain.errors import Refused, Unavailable
from ferryml.gateway.database import Database


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database(tmp_path / "g.db")


def pins(db: Database) -> list[str]:
    return [str(digest) for (digest,) in db.rows("SELECT digest FROM pins ORDER BY digest")]


def test_an_inner_transaction_joins_the_outer_one(db: Database) -> None:
    def both() -> None:
        with db.transaction():
            db.run("INSERT INTO pins VALUES ('a')")
            with db.transaction():
                db.run("INSERT INTO pins VALUES ('b')")
            raise Refused("BadRequest", "no")

    with pytest.raises(Refused):
        both()
    assert pins(db) == []


def test_what_is_committed_is_there_for_the_next_life(db: Database, tmp_path: Path) -> None:
    db.run_many("INSERT INTO pins VALUES (?)", [("a",), ("b",)])
    assert pins(Database(tmp_path / "g.db")) == ["a", "b"]


def test_news_come_after_the_lock_is_free(db: Database) -> None:
    heard: list[bool] = []

    def look() -> None:
        other = threading.Thread(target=lambda: heard.append(db.row("SELECT 1 FROM pins") is not None))
        other.start()
        other.join(2)

    with db.transaction():
        db.run("INSERT INTO pins VALUES ('a')")
        db.after(look)
        assert heard == []
    assert heard == [True]
    db.after(look)
    assert heard == [True, True]


def test_news_of_what_did_not_land_are_not_told(db: Database) -> None:
    heard: list[int] = []

    def fail() -> None:
        with db.transaction():
            db.after(lambda: heard.append(1))
            raise Refused("BadRequest", "no")

    with pytest.raises(Refused):
        fail()
    db.run("INSERT INTO pins VALUES ('a')")
    assert heard == []


def test_a_full_disk_takes_nothing_half(db: Database) -> None:
    (pages,) = db.rows("PRAGMA page_count")[0]
    db.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable) as caught:
        db.run_many("INSERT INTO pins VALUES (?)", [(f"{number:064}",) for number in range(1000)])
    assert caught.value.code == "DiskFull"
    assert pins(db) == []
    db.rows("PRAGMA max_page_count = 100000")
    db.run("INSERT INTO pins VALUES ('a')")
    assert pins(db) == ["a"]
