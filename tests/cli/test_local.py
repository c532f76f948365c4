"""What `ferry up` leaves for the commands after it."""

import json
import os

import pytest

from ferryml.cli.local import LocalState, home, nearest, started_at
from ferryml.domain.errors import Conflict


def test_a_pid_that_came_again_is_not_ours(tmp_path):
    state = LocalState(tmp_path)
    assert state.running() is None
    state.write(ready=False)
    assert (state.running(), state.ready()) == (os.getpid(), False)
    state.write(ready=True)
    assert state.ready()
    record = json.loads((tmp_path / "up.json").read_text())
    (tmp_path / "up.json").write_text(json.dumps({**record, "started": "1"}))
    assert state.running() is None
    state.forget()
    assert not state.ready()


def test_a_damaged_record_is_no_record(tmp_path):
    for text in ("", "[]", '{"pid": "x"}', "{"):
        (tmp_path / "up.json").write_text(text)
        assert LocalState(tmp_path).running() is None


def test_one_process_at_a_time(tmp_path):
    (tmp_path / "url").write_text("http://127.0.0.1:1\n")
    with (
        LocalState(tmp_path).locked(),
        pytest.raises(Conflict, match=r"http://127\.0\.0\.1:1") as caught,
        LocalState(tmp_path).locked(),
    ):
        raise AssertionError("two at once")
    assert caught.value.code == "AlreadyRunning"
    with LocalState(tmp_path).locked():
        pass


def test_no_process_no_start():
    assert started_at(2**22 + 5) is None
    assert started_at(os.getpid()) == started_at(os.getpid()) is not None


def test_the_nearest_state_upwards(tmp_path, monkeypatch):
    monkeypatch.delenv("FERRY_STATE_DIR", raising=False)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert nearest(None, deep).folder == deep / ".ferry"
    (tmp_path / ".ferry").mkdir()
    (tmp_path / ".ferry" / "url").write_text("http://x")
    assert nearest(None, deep).folder == tmp_path / ".ferry"
    assert nearest(tmp_path / "named", deep).folder == tmp_path / "named"
    monkeypatch.setenv("FERRY_STATE_DIR", str(tmp_path / "said"))
    assert nearest(None, deep).folder == tmp_path / "said"


def test_the_private_one_has_a_folder_of_its_own(alone):
    assert home({}).folder == alone.parent / ".ferry" / "local"
    assert home({"FERRY_LOCAL_DIR": "there"}).folder == alone / "there"
