import json
import os
import subprocess
import sys

from ferryml.backends.local import processes
from ferryml.runner.state import State, start_mark


def test_what_is_saved_is_loaded(tmp_path):
    state = State(str(tmp_path))
    state.note("said once")
    state.note("said once")
    state.save(phase="running", exit_code=None, runner={"pid": 1, "mark": "m"})
    later = State(str(tmp_path)).load()
    assert (later.phase, later.runner, later.notes) == ("running", {"pid": 1, "mark": "m"}, ["said once"])
    assert not list(tmp_path.glob("*.partial"))


def test_a_broken_or_strange_file_is_a_new_beginning(tmp_path):
    (tmp_path / "state.json").write_text("{")
    assert State(str(tmp_path)).load().phase == "new"
    (tmp_path / "state.json").write_text(json.dumps({"phase": "done", "save": "evil", "path": "/etc/passwd"}))
    state = State(str(tmp_path)).load()
    assert state.phase == "done"
    assert callable(state.save)
    assert state.path == str(tmp_path / "state.json")


def test_runner_and_agent_mark_a_process_alike():
    assert start_mark(os.getpid()) == processes.start_mark(os.getpid()) != ""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_mark(child.pid) != start_mark(os.getpid())
    child.communicate()
    assert start_mark(child.pid) == ""
