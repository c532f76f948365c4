"""Shells beside a process of this machine: its folder, its environment, a real terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryml.backends.local.processes import start_mark
from ferryml.backends.local.shells import LocalShell, LocalShells
from ferryml.domain.connection import ConnectionAsk, Frame, Terminal, exit_of
from ferryml.domain.errors import Conflict, Unavailable
from fixtures_serving import until


@pytest.fixture
def shells(tmp_path: Path) -> Iterator[LocalShells]:
    argv = [sys.executable, "-c", "input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=tmp_path, env={"GREETING": "hello", "PATH": "/bin"}) as job:
        state = {"main": {"pid": job.pid, "mark": start_mark(job.pid)}}
        made = LocalShells(lambda uid, attempt: state)
        made.end_job = job.kill
        yield made
        job.kill()


def heard(shell: LocalShell, wanted: bytes = b"") -> tuple[bytes, bytes, int]:
    """(output, errors, exit code) to the end, or to what is wanted."""
    said: dict[str, bytes] = {"data": b"", "errors": b""}
    while True:
        frame: Frame = shell.read()
        if frame.kind == "exit":
            return said["data"], said["errors"], exit_of(frame)[0]
        said[frame.kind] += frame.payload
        if wanted and wanted in said["data"]:
            return said["data"], said["errors"], -1


def ask(*command: str, terminal: Terminal | None = None) -> ConnectionAsk:
    return ConnectionAsk(command=command, terminal=terminal)


def test_it_stands_where_the_program_stands(shells: LocalShells, tmp_path: Path) -> None:
    shell = shells.open("job.w.j", 1, ask("/bin/sh", "-c", "echo $GREETING; pwd; echo no >&2; exit 7"))
    assert heard(shell) == (f"hello\n{tmp_path}\n".encode(), b"no\n", 7)
    assert shell.read().kind == "exit", "and again"


def test_input_comes_and_ends(shells: LocalShells) -> None:
    shell = shells.open("job.w.j", 1, ask("/bin/cat"))
    every = bytes(range(256)) * 300
    shell.write(every)
    shell.end_input()
    assert heard(shell) == (every, b"", 0)
    shell.write(b"nobody hears this")
    shell.close()


def test_a_terminal_has_a_size_and_a_controlling_program(shells: LocalShells) -> None:
    shell = shells.open("job.w.j", 1, ask("/bin/sh", terminal=Terminal(rows=31, columns=77)))
    shell.write(b"stty size; tty\n")
    assert b"31 77" in heard(shell, b"/dev/")[0]
    shell.resize(Terminal(rows=5, columns=6))
    shell.write(b"stty size\n")
    assert b"5 6" in heard(shell, b"5 6")[0]
    # a job of its own, that has the terminal before it says so: Ctrl-C while a shell still forks is lost
    shell.write(b"sh -c 'echo beg\"\"un; exec sleep 50'\n")
    heard(shell, b"begun")
    shell.write(b"\x03")
    shell.write(b"exit 3\n")
    assert heard(shell)[2] == 3


def test_closing_ends_all_that_it_started(shells: LocalShells) -> None:
    shell = shells.open("job.w.j", 1, ask("/bin/sh", "-c", "sleep 60 & echo $!; wait"))
    child = int(heard(shell, b"\n")[0])
    shell.close()
    heard(shell)
    until(lambda: not start_mark(child), 5)


def test_it_ends_with_the_job(shells: LocalShells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryml.backends.local.shells.LOOK_S", 0.05)
    shell = shells.open("job.w.j", 1, ask("/bin/sh", "-c", "echo here; sleep 60"))
    heard(shell, b"here")
    shells.end_job()
    assert heard(shell)[2] == 128 + 1


def test_it_hears_signals_that_the_agent_ignores(shells: LocalShells) -> None:
    """As one that was started with nohup does, or in the background of a script."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        shell = shells.open("job.w.j", 1, ask("/bin/sh", "-c", "grep SigIgn /proc/self/status"))
        ignored = int(heard(shell)[0].split()[1], 16)
        assert not ignored & (1 << signal.SIGHUP - 1 | 1 << signal.SIGINT - 1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_nothing_runs_there_any_more(tmp_path: Path) -> None:
    for state in ({}, {"main": {"pid": os.getpid(), "mark": "another"}}):
        with pytest.raises(Conflict):
            LocalShells(lambda uid, attempt, state=state: state).open("job.w.j", 1, ask())


def test_a_program_that_is_not_there_is_named(shells: LocalShells) -> None:
    with pytest.raises(Unavailable, match="could not be started"):
        shells.open("job.w.j", 1, ask("/no/such/program"))
