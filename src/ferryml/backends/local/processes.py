"""Processes of this machine, told apart by more than their pid, and ended with everything they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

_LOOK_AGAIN_S = 0.01
_BECOMING_S = 1.0


def start_mark(pid: int) -> str:
    """Boot and start time of a living process in ticks; empty when there is none. No two processes share it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else f"{_boot()}:{fields[19].decode()}"
    except (OSError, IndexError):
        return ""


def is_alive(pid: int, mark: str) -> bool:
    """True when the process that was marked still runs; a later one with the same pid does not count."""
    if pid <= 0:
        return False
    if mark:
        return start_mark(pid) == mark
    return psutil.pid_exists(pid) and not Path("/proc/self").exists()


class Detached(subprocess.Popen[bytes]):
    """A child that outlives us on purpose, so that dropping it is no mistake."""

    def __del__(self) -> None:
        """Nothing: the parent class would warn."""


def start_detached(argv: Sequence[str], folder: Path, log: Path) -> Detached:
    """Start a program that outlives this one: own session, no terminal, nothing of our environment."""
    with log.open("ab") as output:
        return Detached(
            list(argv),
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def given(pid: int) -> tuple[bytes, bytes]:
    """Arguments and variables that a process was started with, each ended by a zero byte. Raises OSError.

    One that is just becoming another program (exec) reads as having neither, so that is waited out; the kernel's own
    threads and the dead have no program file and stay without.
    """
    root, until = Path(f"/proc/{pid}"), time.monotonic() + _BECOMING_S
    while True:
        arguments = (root / "cmdline").read_bytes()
        variables = (root / "environ").read_bytes()
        if arguments or time.monotonic() > until:
            return arguments, variables
        os.readlink(root / "exe")
        time.sleep(_LOOK_AGAIN_S)


def marked(variable: str, value: str) -> list[int]:
    """Living processes that inherited `variable=value`, ours excepted; those of other users are not seen."""
    wanted = f"{variable}={value}".encode()
    found = []
    for process in psutil.process_iter(["pid"]):
        if process.pid == os.getpid():
            continue
        try:
            if wanted in given(process.pid)[1].split(b"\0"):
                found.append(process.pid)
        except OSError:
            continue
    return [pid for pid in found if start_mark(pid)]


def mention(text: str) -> bool:
    """Whether a living process names `text` in its arguments or variables."""
    wanted = text.encode()
    for pid in psutil.pids():
        try:
            if any(wanted in part for part in given(pid)):
                return True
        except OSError:
            continue
    return False


def in_session(leader: int) -> list[int]:
    """Living processes of the session that `leader` founded."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and start_mark(pid):
                found.append(pid)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each; those that are gone already do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def wait_gone(marks: dict[int, str], limit_s: float) -> bool:
    """Wait until none of the marked processes lives; False when the limit came first."""
    until = time.monotonic() + limit_s
    while any(is_alive(pid, mark) for pid, mark in marks.items()):
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK_AGAIN_S)
    return True


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
