"""Processes of deployments: started in a session of their own, known again after a restart, ended as a group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
)
"""Of the site's own environment, what a user's program gets: nothing that could hold a secret."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start something."""

    argv: Sequence[str]
    folder: Path
    variables: Mapping[str, str]
    log: Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    started: float
    """Seconds since the epoch, as the kernel says."""


class Child:
    """One process group, our child or one of an earlier life of this site."""

    def __init__(self, identity: Identity, handle: subprocess.Popen[bytes] | None = None) -> None:
        self.identity = identity
        self._handle = handle
        self._asked = 0.0

    @classmethod
    def start(cls, program: Program) -> Child:
        """Raises OSError when it cannot be started."""
        inherited = {key: value for key, value in os.environ.items() if key in KEPT}
        with program.log.open("ab") as log:
            handle = subprocess.Popen(
                list(program.argv), cwd=program.folder, env=inherited | dict(program.variables),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        started = _started(handle.pid)
        return cls(Identity(handle.pid, started or 0.0), handle)

    @classmethod
    def adopt(cls, identity: Identity) -> Child | None:
        """The process of an earlier life, if it still lives."""
        child = cls(identity)
        return child if child.alive() else None

    def alive(self) -> bool:
        """Whether the group's leader runs."""
        if self._handle is not None:
            return self._handle.poll() is None
        return _started(self.identity.pid) == self.identity.started

    @property
    def exit_code(self) -> int | None:
        """128 + N when ended by signal N; None when nobody knows."""
        code = self._handle.poll() if self._handle is not None else None
        return None if code is None else code if code >= 0 else 128 - code

    def end(self, grace_s: float) -> bool:
        """Ask the group to end, then make it; call again until True: nothing of it lives any more."""
        now = time.monotonic()
        if self.alive():
            if not self._asked:
                self._asked = now
                self._signal(signal.SIGTERM)
            if now - self._asked >= grace_s:
                self._signal(signal.SIGKILL)
            if self.alive():
                return False
        end_group(self.identity)
        return True

    def release(self) -> None:
        """It lives on without us."""
        if self._handle is not None and self._handle.poll() is None:
            # what Popen would warn of is meant
            self._handle.returncode = 0

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.identity.pid, number)


def end_group(leader: Identity) -> None:
    """Kill what a dead leader left behind in its group; a later group with the same number is left alone."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == leader.pid and process.create_time() >= leader.started - 1:
                process.kill()


def _started(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
