"""Process groups: known again, ended whole, never mistaken for others."""

import os
import sys
import time

import psutil
import pytest

from ferryml.backends.local.serving_process import Child, Identity, Program
from fixtures_serving import until

FAMILY = """import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def start(tmp_path):
    made: list[Child] = []

    def one(code: str, **variables: str) -> Child:
        child = Child.start(Program([sys.executable, "-c", code], tmp_path, variables, tmp_path / "log"))
        made.append(child)
        return child

    yield one
    for child in made:
        until(lambda child=child: child.end(0), 5)


def test_children_of_children_end_too(start):
    child = start(FAMILY)
    members = until(lambda: psutil.Process(child.identity.pid).children(recursive=True), 5)
    until(lambda: child.end(2), 5)
    assert not child.alive()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in members), 5)


def test_who_does_not_listen_is_killed(start, tmp_path):
    child = start(STUBBORN)
    until(lambda: b"up" in (tmp_path / "log").read_bytes(), 5)
    assert not child.end(60)
    assert child.alive()
    until(lambda: child.end(0), 5)
    assert child.exit_code == 128 + 9


def test_exit_codes(start):
    child = start("import sys; sys.exit(3)")
    until(lambda: not child.alive(), 5)
    assert child.exit_code == 3


def test_it_is_known_again_by_pid_and_start_time(start):
    child = start("import time; time.sleep(60)")
    assert Child.adopt(child.identity) is not None
    assert Child.adopt(Identity(child.identity.pid, child.identity.started - 5)) is None
    assert Child.adopt(Identity(os.getpid(), 1.0)) is None


def test_the_sites_environment_is_not_inherited(start, tmp_path, monkeypatch):
    monkeypatch.setenv("FERRY_TOKEN", "hush")
    child = start("import os; print(sorted(os.environ), flush=True)", MINE="1")
    until(lambda: not child.alive(), 5)
    said = (tmp_path / "log").read_text()
    assert "FERRY_TOKEN" not in said
    assert "MINE" in said


def test_what_a_dead_leader_left_is_found(start):
    child = start(FAMILY)
    members = until(lambda: psutil.Process(child.identity.pid).children(recursive=True), 5)
    os.kill(child.identity.pid, 9)
    until(lambda: not child.alive(), 5)
    assert child.end(0)
    deadline = time.monotonic() + 5
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in members):
        assert time.monotonic() < deadline
