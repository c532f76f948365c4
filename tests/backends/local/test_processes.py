import os
import signal
import subprocess
import sys

import pytest

from ferryml.backends.local.processes import (
    given,
    in_session,
    is_alive,
    marked,
    send,
    start_detached,
    start_mark,
    wait_gone,
)

WAIT = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]


def test_a_mark_tells_a_process_from_a_later_one():
    mine = os.getpid()
    assert is_alive(mine, start_mark(mine))
    assert not is_alive(mine, start_mark(1))
    assert not is_alive(0, "")
    assert start_mark(2**22 + 1) == ""


def test_the_dead_are_dead_before_they_are_buried():
    child = subprocess.Popen(["true"])
    mark_gone = wait_gone({child.pid: start_mark(child.pid) or "gone"}, 5)
    assert mark_gone
    assert start_mark(child.pid) == ""
    child.wait()


def test_marked_processes_are_found_and_ended():
    env = {**os.environ, "FERRY_TEST_MARK": "a/1"}
    with subprocess.Popen(
        WAIT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        child.stdout.readline()
        assert marked("FERRY_TEST_MARK", "a/1") == [child.pid]
        assert marked("FERRY_TEST_MARK", "a/") == []
        assert in_session(child.pid) == [child.pid]
        marks = {child.pid: start_mark(child.pid)}
        send([child.pid, 2**22 + 1], signal.SIGKILL)
        assert wait_gone(marks, 5)
        child.stdin.close()


def test_one_that_is_just_becoming_another_program_is_waited_for():
    for _ in range(50):
        with subprocess.Popen(["/bin/cat"], env={"GREETING": "hello"}, stdin=subprocess.PIPE) as child:
            assert given(child.pid) == (b"/bin/cat\0", b"GREETING=hello\0")
            child.stdin.close()
    with pytest.raises(FileNotFoundError):
        given(2**22 + 1)


def test_waiting_has_a_limit():
    assert not wait_gone({os.getpid(): start_mark(os.getpid())}, 0.01)


def test_a_detached_program_inherits_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("FERRY_TOKEN", "sesame")
    code = "import os, sys; print(sorted(os.environ), os.getsid(0) == os.getpid(), os.getcwd(), sys.stdin.read())"
    started = start_detached([sys.executable, "-c", code], tmp_path, tmp_path / "log")
    assert started.wait(20) == 0
    said = (tmp_path / "log").read_text()
    assert "FERRY_TOKEN" not in said
    assert f"True {tmp_path}" in said
