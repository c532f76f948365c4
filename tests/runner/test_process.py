import os
import signal
import subprocess
import sys

import pytest

from ferryml.runner.process import descendants, memory_kills

# A program of its own, because it reaps every child that it has.
SCRIPT = """
import os, queue, sys
from ferryml.runner.process import Program, adopt_orphans, descendants
adopt_orphans()
events = queue.SimpleQueue()
program = Program(sys.argv[1], dict(os.environ), os.getcwd(), "log", events, int(sys.argv[2]))
if sys.argv[3] != "0":
    program.signal(int(sys.argv[3]))
print(events.get(timeout=20), flush=True)
print(len(descendants(os.getpid())) > 0, flush=True)
program.sweep()
print(descendants(os.getpid()), flush=True)
"""


@pytest.fixture
def run(tmp_path):
    def start(command, ranks=1, number=0):
        argv = [sys.executable, "-c", SCRIPT, command, str(ranks), str(int(number))]
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return start


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("true", 0)])
def test_exit_codes_as_a_shell_says_them(run, command, code):
    assert run(command)[0] == str(("ended", code))


def test_what_slips_out_of_the_session_is_swept_up(run):
    assert run("setsid sh -c 'sleep 71 & sleep 72' & disown; sleep 0.2") == ["('ended', 0)", "True", "[]"]


def test_a_signal_reaches_the_whole_group(run):
    assert run("sleep 73 & sleep 74", number=signal.SIGTERM)[0] == "('ended', 143)"


def test_the_first_rank_that_fails_ends_it(run, tmp_path):
    wait = "until [ $(wc -l < ranks) = 3 ]; do :; done"
    said = run(f"echo $RANK/$LOCAL_RANK >> ranks; [ $RANK = 2 ] || exec sleep 76; {wait}; exit 6", ranks=3)
    assert said == ["('ended', 6)", "True", "[]"]
    assert sorted((tmp_path / "ranks").read_text().split()) == ["0/0", "1/1", "2/2"]


def test_all_ranks_must_end_well(run):
    assert run("exit 0", ranks=2)[0] == "('ended', 0)"


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
