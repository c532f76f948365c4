"""A backup of a server in use can be restored elsewhere, whole, under a new epoch; a damaged one changes nothing."""

import dataclasses
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ferryml.control.ports import Row
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused
from ferryml.store import dumps
from ferryml.store.backup import State, backup, restore
from ferryml.store.blobs import open_blobs
from ferryml.store.database import open_store

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["folder", "tar"])
def target(request, tmp_path):
    return tmp_path / "backups" / ("monday.tar" if request.param == "tar" else "monday")


def a_state(home, url=None) -> State:
    home.mkdir(exist_ok=True)
    return State(
        databases={"ferry": url or f"sqlite:///{home}/ferry.db", "mlflow": f"sqlite:///{home}/mlflow.db"},
        blobs=open_blobs(str(home / "artifacts")),
        files={"key": home / "key"},
    )


def filled(state) -> list[str]:
    """Fills a server; returns the digests of its blobs."""
    store = open_store(state.databases["ferry"])
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name="fox", spec={"text": "ä\x00"}))
        tx.put_wish("onprem", "job.vision.fox", {"a": 1})
        tx.append_log("vision", "u", "log", 0, bytes(range(256)))
    store.close()
    with closing(sqlite3.connect(state.databases["mlflow"].removeprefix("sqlite:///"))) as mlflow:
        mlflow.execute("CREATE TABLE runs (name TEXT)")
        mlflow.execute("INSERT INTO runs VALUES ('calm_fox')")
        mlflow.commit()
    state.files["key"].write_bytes(b"secret-key")
    return [state.blobs.put([data])[0] for data in (b"", b"abc", b"x" * 3_000_000)]


def holds_everything(state, digests, epoch):
    store = open_store(state.databases["ferry"])
    with store.begin() as tx:
        assert tx.get("job", "vision", "fox").spec == {"text": "ä\x00"}
        assert [wish.uid for wish in tx.wishes("onprem", 0, 9)] == ["job.vision.fox"]
        assert tx.read_log("vision", "u", "log", 0, 999) == bytes(range(256))
        assert tx.epoch() == epoch
        tx.insert(Row(kind="job", workspace="vision", name="after"))
    store.close()
    with closing(sqlite3.connect(state.databases["mlflow"].removeprefix("sqlite:///"))) as mlflow:
        assert mlflow.execute("SELECT name FROM runs").fetchall() == [("calm_fox",)]
    assert state.files["key"].read_bytes() == b"secret-key"
    assert stat.S_IMODE(state.files["key"].stat().st_mode) == 0o600
    assert {digest for digest, _ in state.blobs.digests()} == set(digests)
    assert b"".join(state.blobs.read(digests[1])) == b"abc"


@pytest.fixture
def made(tmp_path, target):
    """A backup made of a server on SQLite, and what it must hold."""
    state = a_state(tmp_path / "old")
    digests = filled(state)
    backup(state, target, NOW)
    return state, digests


def test_a_backup_comes_back_elsewhere(made, target, tmp_path):
    _, digests = made
    elsewhere = a_state(tmp_path / "new")
    manifest = restore(elsewhere, target, "epoch-2")
    assert manifest.made_at == NOW
    holds_everything(elsewhere, digests, "epoch-2")
    assert not list((tmp_path / "new").rglob(".ferry-backup*"))


def test_a_server_in_use_is_copied_as_it_was_at_one_moment(tmp_path, target):
    state = a_state(tmp_path / "old")
    digests = filled(state)
    store = open_store(state.databases["ferry"])
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name="not committed yet"))
        backup(state, target, NOW)
    store.close()
    elsewhere = a_state(tmp_path / "new")
    restore(elsewhere, target, "epoch-2")
    holds_everything(elsewhere, digests, "epoch-2")
    store = open_store(elsewhere.databases["ferry"])
    with store.read() as tx:
        assert tx.get("job", "vision", "not committed yet") is None
    store.close()


@pytest.mark.timeout(1020)
def test_postgres_comes_back_in_another_database(tmp_path, target, postgres_url, component, monkeypatch):
    monkeypatch.setenv("PATH", f"{component('postgres')['bin']}{os.pathsep}{os.environ['PATH']}")
    if shutil.which("pg_dump") is None:
        pytest.skip("did not run: postgres: it came without pg_dump")
    state = a_state(tmp_path / "old", postgres_url)
    digests = filled(state)
    backup(state, target, NOW)
    elsewhere = a_state(tmp_path / "new", postgres_url)
    with pytest.raises(Conflict):
        restore(elsewhere, target, "epoch-2")
    store = open_store(postgres_url)
    with store.begin() as tx:
        tx.delete("job", "vision", "fox")
        tx.insert(Row(kind="job", workspace="vision", name="later"))
    store.close()
    restore(elsewhere, target, "epoch-2", replace=True)
    holds_everything(elsewhere, digests, "epoch-2")
    store = open_store(postgres_url)
    with store.read() as tx:
        assert tx.get("job", "vision", "later") is None
    store.close()


def test_postgres_without_its_tools_is_refused_with_a_hint(tmp_path, target, monkeypatch):
    state = a_state(tmp_path / "old")
    filled(state)
    monkeypatch.setenv("PATH", str(tmp_path))
    elsewhere = dataclasses.replace(state, databases={"ferry": "postgresql+psycopg://nobody:hidden@127.0.0.1:1/x"})
    with pytest.raises(Refused) as caught:
        backup(elsewhere, target, NOW)
    assert "pg_dump" in caught.value.message
    assert "hidden" not in str(caught.value.as_dict())
    assert not target.exists()


def test_for_its_owner_alone(made, target):
    assert stat.S_IMODE(target.stat().st_mode) == (0o700 if target.is_dir() else 0o600)


def test_an_existing_backup_is_never_overwritten(made, target):
    with pytest.raises(Conflict) as caught:
        backup(made[0], target, NOW)
    assert caught.value.code == "AlreadyExists"


def test_an_existing_database_is_replaced_only_when_said(made, target):
    state, digests = made
    store = open_store(state.databases["ferry"])
    with store.begin() as tx:
        tx.insert(Row(kind="job", workspace="vision", name="later"))
    store.close()
    with pytest.raises(Conflict) as caught:
        restore(state, target, "epoch-2")
    assert caught.value.code == "AlreadyExists"
    restore(state, target, "epoch-2", replace=True)
    holds_everything(state, digests, "epoch-2")
    kept = open_store(state.databases["ferry"] + ".before-restore")
    with kept.read() as tx:
        assert tx.get("job", "vision", "later") is not None
    kept.close()


def test_a_server_in_use_is_not_touched(made, target, tmp_path):
    state, _ = made
    store = open_store(state.databases["ferry"])
    with store.read() as tx:
        before = tx.epoch()
    state.files["key"].write_bytes(b"newer key")
    mlflow = (tmp_path / "old" / "mlflow.db").stat().st_ino
    with pytest.raises(Conflict) as caught:
        restore(state, target, "epoch-2", replace=True)
    assert caught.value.code == "AlreadyRunning"
    assert state.files["key"].read_bytes() == b"newer key"
    assert (tmp_path / "old" / "mlflow.db").stat().st_ino == mlflow
    with store.read() as tx:
        assert tx.epoch() == before
    store.close()


def test_a_ruined_database_can_be_replaced(made, target, tmp_path):
    state, digests = made
    (tmp_path / "old" / "ferry.db").write_bytes(b"not a database" * 1000)
    restore(state, target, "epoch-2", replace=True)
    holds_everything(state, digests, "epoch-2")


def _changed(path, change, where):
    """Changes one member of a backup, in a folder or a tar file."""
    if where.is_dir():
        change_in(where / path, change)
        return
    folder = where.with_suffix(".unpacked")
    with tarfile.open(where) as tar:
        tar.extractall(folder, filter="data")
    change_in(folder / path, change)
    where.unlink()
    with tarfile.open(where, "w") as tar:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                tar.add(each, each.relative_to(folder).as_posix())
    shutil.rmtree(folder)


def change_in(path, change):
    data = change(path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def _rename(old, new):
    def change(data):
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return change


def _add_outside(data):
    manifest = json.loads(data)
    manifest["members"].append({"name": "../../outside", "digest": "sha256:" + "0" * 64, "size": 0})
    return json.dumps(manifest).encode()


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("databases/ferry.sqlite", lambda data: data[:-1] + b"?"),
        ("databases/mlflow.sqlite", lambda data: data[:-1]),
        ("files/key", lambda data: b"other-key!"),
        ("files/key", lambda data: None),
        ("manifest.json", lambda data: None),
        ("manifest.json", lambda data: data[:100]),
        ("manifest.json", _rename('"format": 1', '"format": 2')),
        ("manifest.json", _rename("files/key", "files/../key")),
        ("manifest.json", _add_outside),
        ("manifest.json", lambda data: json.dumps({**json.loads(data), "members": []}).encode()),
    ],
)
def test_a_damaged_backup_changes_nothing(made, target, tmp_path, path, change):
    _changed(path, change, target)
    elsewhere = a_state(tmp_path / "new")
    with pytest.raises(Refused):
        restore(elsewhere, target, "epoch-2")
    assert not any(each.is_file() for each in (tmp_path / "new").rglob("*"))


def test_a_changed_blob_is_noticed(made, target, tmp_path):
    _, digests = made
    _changed(f"blobs/{digests[1]}", lambda data: b"abX", target)
    with pytest.raises(Refused) as caught:
        restore(a_state(tmp_path / "new"), target, "epoch-2")
    assert caught.value.code == "BackupDamaged"


def test_half_a_tar_file_is_noticed(tmp_path):
    state = a_state(tmp_path / "old")
    filled(state)
    target = tmp_path / "b.tar"
    backup(state, target, NOW)
    for half in (target.read_bytes()[:300_000], b"", b"no tar at all" * 100):
        target.write_bytes(half)
        with pytest.raises(Refused) as caught:
            restore(a_state(tmp_path / "new"), target, "epoch-2")
        assert caught.value.code == "BackupDamaged"


def test_what_is_not_there_is_said(tmp_path, target):
    state = a_state(tmp_path / "old")
    with pytest.raises(NotFound):
        restore(state, target, "epoch-2")
    with pytest.raises(Refused) as caught:
        backup(state, target, NOW)
    assert caught.value.code == "FileNotFound"
    state.files["key"].parent.mkdir(parents=True, exist_ok=True)
    state.files["key"].write_bytes(b"x")
    with pytest.raises(FerryError) as caught:
        backup(state, target, NOW)
    assert caught.value.code == "FileNotFound"
    assert not target.exists()
    assert not dumps.exists(state.databases["ferry"])


def test_a_blob_that_rotted_fails_the_backup(made, tmp_path):
    state, digests = made
    (rotten,) = (tmp_path / "old" / "artifacts").rglob(digests[1][9:])
    rotten.chmod(0o600)
    for data in (b"abX", b"ab"):
        rotten.write_bytes(data)
        with pytest.raises(FerryError):
            backup(state, tmp_path / "second.tar", NOW)
        assert not (tmp_path / "second.tar").exists()
        assert not list(tmp_path.glob(".second*"))
