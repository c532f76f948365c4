"""Programs are known by process id and start time, and end when told; no one else's process is touched."""

import os
import signal
import sys
from pathlib import Path

import pytest

from kubebox.places import KubeboxError
from kubebox.processes import Programs, identity, running, wait_for

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
WAITS = ["sh", "-c", "echo ready; exec sleep 60"]


@pytest.fixture
def programs(tmp_path):
    started = Programs(tmp_path, "")
    yield started
    for name in started.names():
        started.stop(name, signal.SIGKILL)


def test_a_program_outlives_its_starter_and_ends_when_told(programs):
    programs.start("waits", WAITS)
    pid, _ = programs.recorded("waits")
    assert programs.alive("waits")
    wait_for(lambda: "ready" in programs.tail("waits"), 10, "it says nothing", lambda: programs.tail("waits"))
    assert os.getsid(pid) != os.getsid(0)
    programs.stop("waits")
    assert not programs.alive("waits")


def test_a_restart_is_another_process_of_the_same_command(programs):
    programs.start("waits", WAITS, {"COLOUR": "blue"})
    before, _ = programs.recorded("waits")
    programs.restart("waits")
    after, _ = programs.recorded("waits")
    assert after != before
    assert "COLOUR=blue" in Path(f"/proc/{after}/environ").read_text()


def test_a_process_that_took_over_an_old_id_is_not_ours(programs):
    programs.start("waits", WAITS)
    pid, started = programs.recorded("waits")
    (programs.folder / "pid" / "waits").write_text(f"{pid} {started - 1}\n")
    assert not programs.alive("waits")
    programs.stop("waits", signal.SIGKILL)
    assert running((pid, started)), "a stranger was killed"
    (programs.folder / "pid" / "waits").write_text(f"{pid} {started}\n")


def test_a_program_that_cannot_start_shows_its_log(programs):
    programs.start("broken", ["sh", "-c", "echo why it broke >&2; exit 3"])
    with pytest.raises(KubeboxError, match="no answer within 0 s\n--- broken\nwhy it broke"):
        wait_for(
            lambda: not programs.alive("broken") and "why" not in programs.tail("broken"),
            0,
            "no answer",
            lambda: said(programs),
        )


def said(programs):
    wait_for(lambda: "why" in programs.tail("broken"), 10, "nothing in the log", lambda: "")
    return programs.tail("broken")


def test_we_know_ourselves():
    assert running(identity(os.getpid()))
    assert identity(2**22 + 1) is None
