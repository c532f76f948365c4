"""Shells in jobs of this machine: in the program's folder and environment, in a session of their own."""

from __future__ import annotations

import fcntl
import os
import queue
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ferryml.backends.local import processes
from ferryml.domain.connection import ConnectionAsk, Frame, Terminal, exit_frame
from ferryml.domain.errors import Conflict, Unavailable

BLOCK = 64 * 1024
WAITING = 64
"""Frames that are read ahead at most: a program that says more than the link carries waits."""
END_S = 2.0
CLOSING_S = 0.02
LOOK_S = 1.0
"""How often it is looked whether the job goes on."""
START = """
import fcntl, os, signal, sys, termios
for name in ("HUP", "INT", "QUIT", "TERM", "PIPE", "XFSZ"):
    signal.signal(getattr(signal, "SIG" + name), signal.SIG_DFL)
if os.isatty(0):
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal that the program was given its controlling one, and lets it hear signals that the agent was told
to ignore, as `nohup` does."""
STATES = Callable[[str, int], Mapping[str, Any]]


class LocalShells:
    """`agent.ports.Shells`.

    Args:
        state: what the runner of (uid, attempt) knows, with the process of the program as `main`.
    """

    def __init__(self, state: STATES) -> None:
        self._state = state

    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> LocalShell:
        """Raises Conflict(NotRunning), Unavailable."""
        main = self._state(uid, attempt).get("main") or {}
        pid = int(main.get("pid") or 0)
        if not pid or not processes.is_alive(pid, str(main.get("mark"))):
            raise Conflict("NotRunning", "the job's program does not run here (any more)")
        try:
            environment = _environment(processes.given(pid)[1])
            folder = os.readlink(f"/proc/{pid}/cwd")
            argv = list(ask.command) or [environment.get("SHELL") or "/bin/sh"]
            program = os.path.join(folder, argv[0]) if "/" in argv[0] else argv[0]
            if not shutil.which(program, path=environment.get("PATH")):
                raise Unavailable("Unavailable", f"the shell could not be started: there is no program {argv[0]!r}")
            return LocalShell(argv, folder, environment, ask, lambda: processes.is_alive(pid, str(main.get("mark"))))
        except OSError as error:
            raise Unavailable("Unavailable", f"the shell could not be started: {error.strerror}") from error


class LocalShell:
    """`agent.ports.Shell` over a pseudo-terminal, or over pipes. `goes_on`: whether the job's program still runs."""

    def __init__(
        self, argv: list[str], folder: str, environment: dict[str, str], ask: ConnectionAsk, goes_on: Callable[[], bool]
    ) -> None:  # fmt: skip
        self._goes_on = goes_on
        self._said: queue.Queue[Frame] = queue.Queue(WAITING)
        self._last: Frame | None = None
        self._terminal = -1
        known: dict[str, Any] = {"cwd": folder, "env": environment, "start_new_session": True}
        argv = [sys.executable, "-I", "-S", "-c", START, *argv]
        if ask.terminal is None:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **known
            )
            self._input = self._process.stdin.fileno()  # type: ignore[union-attr]  # a pipe was asked for
            outputs = {"data": self._process.stdout, "errors": self._process.stderr}
            ends = {kind: stream.fileno() for kind, stream in outputs.items() if stream is not None}
        else:
            self._terminal, program = os.openpty()
            self._input = self._terminal
            self.resize(ask.terminal)
            known["env"] = {"TERM": "xterm", **environment}
            try:
                self._process = subprocess.Popen(argv, stdin=program, stdout=program, stderr=program, **known)
            finally:
                os.close(program)
            ends = {"data": self._terminal}
        readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in ends.items()]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._wait, args=(readers,), daemon=True).start()

    def read(self) -> Frame:
        if self._last is not None:
            return self._last
        frame = self._said.get()
        if frame.kind == "exit":
            self._last = frame
        return frame

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._input, data) :]
        except OSError:
            return  # it has closed its input, as `true` does: what is said then is for nobody

    def resize(self, terminal: Terminal) -> None:
        if self._terminal >= 0:
            size = struct.pack("HHHH", terminal.rows, terminal.columns, 0, 0)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def end_input(self) -> None:
        if self._terminal >= 0:
            self.write(b"\x04")
        elif self._process.stdin is not None:
            self._process.stdin.close()

    def close(self) -> None:
        if self._process.poll() is not None:
            return
        leader, limit = self._process.pid, time.monotonic() + END_S
        # again and again, for one that forks meanwhile leaves a child that was not told
        while (left := processes.in_session(leader)) and time.monotonic() < limit:
            processes.send(left, signal.SIGHUP)
            time.sleep(CLOSING_S)
        processes.send(left, signal.SIGKILL)

    def _read(self, kind: Any, end: int) -> None:
        while True:
            try:
                data = os.read(end, BLOCK)
            except OSError:
                data = b""  # a terminal says so when nobody holds its other side any more
            if not data:
                return
            self._said.put(Frame(kind, data))

    def _wait(self, readers: list[threading.Thread]) -> None:
        code = self._ended()
        for reader in readers:
            reader.join(END_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = self._input = -1
        self._said.put(exit_frame(code if code >= 0 else 128 - code))

    def _ended(self) -> int:
        """Its exit code, once it has ended by itself or with the job."""
        while True:
            try:
                return self._process.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                if not self._goes_on():
                    self.close()


def _environment(text: bytes) -> dict[str, str]:
    pairs = (entry.partition(b"=") for entry in text.split(b"\0") if b"=" in entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
