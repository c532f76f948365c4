import os
import queue
import signal
import subprocess
import sys

import pytest

from ferryml.runner.process import Program, descendants, memory_kills

SCRIPT = """
import os, queue, sys
from ferryml.runner.process import Program, adopt_orphans, descendants
adopt_orphans()
events = queue.SimpleQueue()
program = Program(sys.argv[1], dict(os.environ), os.getcwd(), "log", events)
print(events.get(timeout=20), flush=True)
print(len(descendants(os.getpid())) > 0, flush=True)
program.sweep()
print(descendants(os.getpid()), flush=True)
"""


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("true", 0)])
def test_exit_codes_as_a_shell_says_them(tmp_path, command, code):
    done = subprocess.run([sys.executable, "-c", SCRIPT, command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == str(("ended", code)), done.stderr


def test_what_slips_out_of_the_session_is_swept_up(tmp_path):
    command = "setsid sh -c 'sleep 71 & sleep 72' & disown; sleep 0.2"
    done = subprocess.run([sys.executable, "-c", SCRIPT, command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["('ended', 0)", "True", "[]"], done.stderr


def test_the_first_rank_that_fails_ends_it(tmp_path):
    events = queue.SimpleQueue()
    command = "echo $RANK/$LOCAL_RANK >> ranks; [ $RANK = 2 ] || exec sleep 76; until [ $(wc -l < ranks) = 3 ]; do :; done; exit 6"
    program = Program(command, dict(os.environ), str(tmp_path), str(tmp_path / "log"), events, ranks=3)
    assert events.get(timeout=20) == ("ended", 6)
    program.signal(signal.SIGKILL)
    assert sorted((tmp_path / "ranks").read_text().split()) == ["0/0", "1/1", "2/2"]
    assert [events.get(timeout=20) for _ in range(2)] == [("ended", 137)] * 2


def test_all_ranks_must_end_well(tmp_path):
    events = queue.SimpleQueue()
    Program("exit 0", dict(os.environ), str(tmp_path), str(tmp_path / "log"), events, ranks=2)
    assert events.get(timeout=20) == ("ended", 0)


def test_a_signal_reaches_the_whole_group(tmp_path):
    events = queue.SimpleQueue()
    log = tmp_path / "log"
    program = Program("echo up; sleep 73 & sleep 74", dict(os.environ), str(tmp_path), str(log), events)
    program.signal(signal.SIGTERM)
    assert events.get(timeout=20) == ("ended", 143)


def test_descendants_include_grandchildren_and_no_strangers():
    argv = ["/bin/bash", "-c", "sleep 75 & echo $!; wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        grandchild = int(child.stdout.readline())
        found = descendants(os.getpid())
        assert {child.pid, grandchild} <= set(found)
        assert os.getppid() not in found
        os.killpg(child.pid, signal.SIGKILL)


def test_memory_kills_is_a_count():
    assert memory_kills() >= 0
