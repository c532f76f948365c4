"""What every store must do: transactions, rows, logs, bytes known."""

import threading
from datetime import UTC, datetime

import pytest

from ferryml.control.ports import Row
from ferryml.domain.errors import Conflict, FerryError, Refused
from ferryml.store.database import SqlStore


def a_job(name: str = "calm_fox", **values) -> Row:
    return Row(kind="job", workspace="vision", name=name, **values)


class Stop(Exception):
    pass


def names(rows: list[Row]) -> list[str]:
    return [row.name for row in rows]


# Transactions


def test_a_transaction_that_raises_leaves_nothing(store):
    def change_everything_and_stop():
        with store.begin() as tx:
            _change_everything(tx)
            raise Stop

    with pytest.raises(Stop):
        change_everything_and_stop()
    with store.read() as tx:
        assert tx.find("job") == []
        assert tx.wishes("onprem", 0, 10) == []
        assert tx.list_logs("vision", "job.vision.calm_fox") == []
        assert tx.events("vision") == []
        assert tx.audits("vision") == []


def _change_everything(tx):
    tx.insert(a_job())
    tx.put_wish("onprem", "job.vision.calm_fox", {"a": 1})
    tx.append_log("vision", "job.vision.calm_fox", "std_log.txt", 0, b"hello")
    tx.event("vision", "created", "calm_fox", {})
    tx.audit("ada", "vision", "create", "calm_fox", {})


def test_the_clock_stands_still_within_a_transaction_and_is_utc(store):
    with store.begin() as tx:
        first = tx.now()
        tx.insert(a_job())
        assert tx.now() == first
    assert first.tzinfo is UTC
    with store.begin() as tx:
        assert tx.now() >= first


def test_a_clock_can_be_handed_in(store_url, store):
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    other = SqlStore(store_url, clock=lambda: noon)
    with other.begin() as tx:
        assert tx.now() == noon
        assert tx.insert(a_job()).created_at == noon
    other.close()


def test_a_reader_sees_one_moment_and_cannot_write(store):
    with store.begin() as tx:
        tx.insert(a_job("one"))
    with store.read() as reader:
        assert names(reader.find("job")) == ["one"]
        writer = threading.Thread(target=lambda: _insert(store, "two"))
        writer.start()
        writer.join(10)
        assert not writer.is_alive()
        assert names(reader.find("job")) == ["one"]
    with store.read() as reader:
        assert names(reader.find("job")) == ["one", "two"]
    with pytest.raises(FerryError), store.read() as reader:
        reader.insert(a_job("three"))
    with store.read() as reader:
        assert names(reader.find("job")) == ["one", "two"]


def _insert(store, name):
    with store.begin() as tx:
        tx.insert(a_job(name))


def test_what_was_committed_is_there_when_opened_again(store_url, store):
    _insert(store, "one")
    store.close()
    again = SqlStore(store_url)
    with again.read() as tx:
        assert names(tx.find("job")) == ["one"]
    again.close()


# Rows


def test_insert_fills_in_and_get_gives_back(store):
    row = a_job(
        version="3",
        spec={"command": "python train.py", "n": 1.5, "none": None, "list": [1, {"a": "ä\x00\ud800"}]},
        status={"phase": "Running"},
        phase="NotStarted",
        parent="pipe",
        labels={"team": "a"},
        created_by="ada",
    )
    with store.begin() as tx:
        inserted = tx.insert(row)
        assert (inserted.etag, inserted.created_at) == (1, tx.now())
        assert inserted.updated_at == inserted.created_at
    with store.read() as tx:
        assert tx.get("job", "vision", "calm_fox", "3") == inserted
        assert tx.get("job", "vision", "calm_fox") is None
        assert tx.get("job", "other", "calm_fox", "3") is None
    assert inserted.model_copy(update={"seq": 0, "etag": 0, "created_at": None, "updated_at": None}) == row


def test_the_same_key_twice_is_a_conflict_and_the_transaction_goes_on(store):
    with store.begin() as tx:
        tx.insert(a_job())
        with pytest.raises(Conflict) as caught:
            tx.insert(a_job())
        tx.insert(a_job("other"))
    assert caught.value.code == "AlreadyExists"
    with store.read() as tx:
        assert names(tx.find("job")) == ["calm_fox", "other"]


def test_update_needs_the_stored_etag(store):
    with store.begin() as tx:
        first = tx.insert(a_job())
    with store.begin() as tx:
        second = tx.update(first.model_copy(update={"phase": "Running", "status": {"a": 1}, "archived": True}))
    assert second.etag == 2
    with store.read() as tx:
        assert tx.get("job", "vision", "calm_fox") == second
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        tx.update(first)
    assert caught.value.code == "VersionConflict"
    with store.begin() as tx:
        assert tx.delete("job", "vision", "calm_fox")
        assert not tx.delete("job", "vision", "calm_fox")
    with pytest.raises(Conflict), store.begin() as tx:
        tx.update(second)


def test_latest_is_the_last_created_that_is_not_archived(store):
    with store.begin() as tx:
        for version in ("9", "10", "1"):
            tx.insert(Row(kind="data", workspace="vision", name="digits", version=version))
        tx.insert(Row(kind="data", workspace="other", name="digits", version="99"))
        newest = tx.latest("data", "vision", "digits")
        assert newest is not None
        assert newest.version == "1"
        tx.update(newest.model_copy(update={"archived": True}))
        newest = tx.latest("data", "vision", "digits")
        assert newest is not None
        assert newest.version == "10"
        assert tx.latest("data", "vision", "absent") is None


@pytest.fixture
def six_jobs(store):
    with store.begin() as tx:
        for number in range(6):
            tx.insert(
                a_job(
                    f"j{number}",
                    phase=("NotStarted", "Running", "Failed")[number % 3],
                    parent="sweep" if number > 3 else "",
                    labels={"team": f"t{number % 2}", 'q"k': 'v"%_'} if number else {},
                    archived=number == 5,
                )
            )
        tx.insert(Row(kind="job", workspace="other", name="j9", phase="Running"))
        tx.insert(Row(kind="data", workspace="vision", name="j9"))
    return store


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "j0 j1 j2 j3 j4 j9"),
        ({"workspace": "vision"}, "j0 j1 j2 j3 j4"),
        ({"workspace": "vision", "archived": "yes"}, "j5"),
        ({"workspace": "vision", "archived": "any"}, "j0 j1 j2 j3 j4 j5"),
        ({"phases": ["Running"]}, "j1 j4 j9"),
        ({"phases": ["Running", "Failed"], "workspace": "vision"}, "j1 j2 j4"),
        ({"parent": "sweep"}, "j4"),
        ({"parent": "", "workspace": "vision"}, "j0 j1 j2 j3"),
        ({"name": "j9"}, "j9"),
        ({"label": ("team", "t1")}, "j1 j3"),
        ({"label": ('q"k', 'v"%_'), "archived": "any"}, "j1 j2 j3 j4 j5"),
        ({"label": ("k", "v")}, ""),
        ({"label": ("TEAM", "t1")}, ""),
        ({"limit": 2}, "j0 j1"),
        ({"limit": 2, "newest_first": True}, "j9 j4"),
    ],
)
def test_find_takes_what_fits(six_jobs, asked, found):
    with six_jobs.read() as tx:
        assert " ".join(names(tx.find("job", **asked))) == found


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_go_on_where_they_ended(six_jobs, newest_first):
    seen, after = [], 0
    with six_jobs.read() as tx:
        while page := tx.find("job", archived="any", after=after, limit=2, newest_first=newest_first):
            seen += names(page)
            after = page[-1].seq
    expected = ["j0", "j1", "j2", "j3", "j4", "j5", "j9"]
    assert seen == (expected[::-1] if newest_first else expected)


def test_text_that_no_database_takes_is_refused(store):
    with pytest.raises(Refused), store.begin() as tx:
        tx.insert(a_job("half\ud800"))
    _insert(store, "fine")


# Logs


def test_logs_grow_by_what_lies_past_their_end(store):
    with store.begin() as tx:
        assert tx.append_log("vision", "u", "a.txt", 0, b"0123") == 4
        assert tx.append_log("vision", "u", "a.txt", 0, b"0123") == 4
        assert tx.append_log("vision", "u", "a.txt", 2, b"2345") == 6
        assert tx.append_log("vision", "u", "b.txt", 0, b"") == 0
        with pytest.raises(Refused) as caught:
            tx.append_log("vision", "u", "a.txt", 7, b"x")
    assert (caught.value.code, caught.value.details) == ("OffsetMismatch", {"offset": 6})
    with store.read() as tx:
        assert tx.list_logs("vision", "u") == [("a.txt", 6), ("b.txt", 0)]
        assert tx.read_log("vision", "u", "a.txt", 0, 100) == b"012345"
        assert tx.read_log("vision", "u", "a.txt", 3, 2) == b"34"
        assert tx.read_log("vision", "u", "a.txt", 6, 2) == b""
        assert tx.read_log("vision", "u", "absent", 0, 2) == b""
        assert tx.list_logs("other", "u") == []


def test_logs_of_an_owner_go_together(store):
    with store.begin() as tx:
        for owner, path in (("a", "in"), ("a", "out"), ("b", "in")):
            tx.append_log("w", owner, path, 0, b"said")
        assert tx.delete_logs("w", "a") == 2
        assert tx.delete_logs("w", "a") == 0
    with store.read() as tx:
        assert (tx.list_logs("w", "a"), tx.list_logs("w", "b")) == ([], [("in", 4)])
        assert tx.read_log("w", "a", "in", 0, 9) == b""


def test_any_window_of_a_long_log_of_any_bytes_can_be_read(store):
    data = bytes(range(256)) * 4096
    with store.begin() as tx:
        offset = 0
        for size in (1, 300_000, 5, 700_000, len(data)):
            offset = tx.append_log("vision", "u", "a", offset, data[offset : offset + size])
    assert offset == len(data)
    with store.read() as tx:
        for start, limit in ((0, 10), (299_990, 50), (262_143, 2), (1_000_000, 100_000), (0, 2_000_000), (5, 0)):
            assert tx.read_log("vision", "u", "a", start, limit) == data[start : start + limit]


# Bytes known


def test_blobs_are_seen_only_by_workspaces_that_were_told(store):
    with store.begin() as tx:
        tx.link_blob("vision", "sha256:a", 3)
        tx.link_blob("vision", "sha256:a", 3, "onprem")
        tx.link_blob("vision", "sha256:a", 3, "onprem")
        tx.link_blob("other", "sha256:b", 4)
    many = [f"sha256:{number}" for number in range(1200)]
    with store.read() as tx:
        assert tx.blob_places("vision", [*many, "sha256:a", "sha256:b"]) == {"sha256:a": (3, ("", "onprem"))}
        assert tx.blob_places("other", iter(["sha256:b"])) == {"sha256:b": (4, ("",))}
        assert tx.blob_places("vision", []) == {}


def test_paths_form_folders(store):
    with store.begin() as tx:
        for path in ("m/1/a", "m/1/b/c", "m/10/a", "m/1", "m%/x", "M/1/a"):
            tx.put_path("vision", path, f"d:{path}", 1)
        tx.put_path("vision", "m/1/a", "d:new", 2)
        tx.put_path("other", "m/1/a", "d", 1)
    with store.begin() as tx:
        assert [file.path for file in tx.paths("vision", "m/1")] == ["m/1", "m/1/a", "m/1/b/c"]
        assert [file.path for file in tx.paths("vision", "m/1/")] == ["m/1/a", "m/1/b/c"]
        assert [file.path for file in tx.paths("vision", "m%")] == ["m%/x"]
        assert len(tx.paths("vision", "")) == 6
        assert (tx.paths("vision", "m/1/a")[0].digest, tx.paths("vision", "m/1/a")[0].size) == ("d:new", 2)
        assert tx.delete_paths("vision", "m/1") == 3
        assert [file.path for file in tx.paths("vision", "m")] == ["m/10/a"]
        assert len(tx.paths("other", "m/1")) == 1
