"""How HAProxy is run: as a child of ours on one machine, in a container beside ours in a cluster; same files."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ferryml.domain.errors import Defect, Refused, Unavailable
from ferryml.router.haproxy.config import CONFIG
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.runtime import Master

_START_S = 10.0


def argv(program: str, options: Options) -> list[str]:
    """How HAProxy is started, here and in a container."""
    master = f"{options.run}/master.sock,mode,600,level,admin"
    return [program, "-W", "-S", master, "-f", f"{options.folder}/{CONFIG}"]


def find_program() -> str:
    """Debian keeps it where only root's PATH looks. Raises Refused."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise Refused("NotSupported", "HAProxy is not installed", "Install the package haproxy, 2.6 or newer.")
    return found


def check_config(program: str, config: str) -> None:
    """Raises Defect with HAProxy's words when it would not take this file."""
    done = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Defect("Internal", f"HAProxy refuses its configuration: {done.stderr[-1500:]}")


class Haproxy:
    """Started once; `master` speaks to it."""

    def __init__(self, program: str, options: Options, master: Master) -> None:
        self._program, self._options, self._master = program, options, master
        self._log = Path(options.run) / "haproxy.log"
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, config: str) -> None:
        """Raises Defect with HAProxy's words when it would not take this file."""
        check_config(self._program, config)

    def begin(self) -> None:
        """Serve what the files say. Raises Unavailable when it does not within 10 s."""
        self._log.touch(0o600)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv(self._program, self._options), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._master.current()
                return
            except Unavailable:
                time.sleep(0.01)
        self.end(0)
        raise Unavailable("Unavailable", f"HAProxy did not start: {self._log.read_text(errors='replace')[-800:]}")

    def end(self, drain_s: float) -> None:
        """Take no more, finish what is under way for `drain_s`, then stop."""
        process = self._process
        if process is None:
            return
        if drain_s > 0:
            with suppress(Unavailable):  # one that does not answer has nothing to finish
                self._master.leave()
        for number, wait_s in ((signal.SIGUSR1, drain_s), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if process.poll() is None and wait_s > 0:
                process.send_signal(number)
                try:
                    process.wait(wait_s)
                except subprocess.TimeoutExpired:
                    continue
        self._process = None


class Neighbour:
    """HAProxy in a container beside ours: its start waits for the configuration, then we speak to its master."""

    def __init__(self, program: str, master: Master, patience_s: float = 120) -> None:
        self._program, self._master, self._patience_s = program, master, patience_s

    def check(self, config: str) -> None:
        """As `Haproxy.check`."""
        check_config(self._program, config)

    def begin(self) -> None:
        """One that serves already, because only we were restarted, reads the files anew. Raises Unavailable."""
        deadline = time.monotonic() + self._patience_s
        try:
            self._master.current()
        except Unavailable:
            while True:
                try:
                    self._master.current()
                    return
                except Unavailable:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
        self._master.reload()
