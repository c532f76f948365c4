"""Programs that outlive whoever started them, known by process id and start time, with their words in a log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubebox.places import KubeboxError

TAIL_LINES = 15
# The process records itself: its id and start time cannot be wrong, and no one has to wait for it in the end.
START = 'cut -d" " -f1,22 /proc/$$/stat > "$0.tmp"; [ -z "$1" ] || echo $$ > "$1"; mv "$0.tmp" "$0"; shift; exec "$@"'


@dataclass(frozen=True)
class Programs:
    """The programs of one folder, which run in one network namespace and one control group."""

    folder: Path
    namespace: str
    group: Path | None = None

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> None:
        """Starts a program, and remembers how, for `restart`."""
        for place in ("log", "pid", "commands"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        (self.folder / "commands" / f"{name}.json").write_text(json.dumps({"argv": list(argv), "env": dict(env or {})}))
        record = self.folder / "pid" / name
        record.unlink(missing_ok=True)
        enter = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        wrapped = ["setsid", "--fork", *enter, "sh", "-c", START, str(record), str(self.group or ""), *argv]
        settings = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"} | dict(env or {})
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            subprocess.run(
                wrapped,
                cwd=self.folder,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                timeout=30,
                check=True,
            )
        wait_for(record.exists, 20, f"{name} did not start", lambda: self.tail(name))

    def restart(self, name: str) -> None:
        """Kills it if it runs, and starts it the way it was started."""
        self.stop(name, signal.SIGKILL)
        command = json.loads((self.folder / "commands" / f"{name}.json").read_text())
        self.start(name, command["argv"], command["env"])

    def alive(self, name: str) -> bool:
        """Whether the very process that was recorded runs."""
        return running(self.recorded(name))

    def recorded(self, name: str) -> tuple[int, int] | None:
        """Process id and start time."""
        try:
            pid, started = (self.folder / "pid" / name).read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid), int(started)

    def send(self, name: str, number: int) -> None:
        """A signal, to the recorded process alone."""
        who = self.recorded(name)
        if who and running(who):
            with contextlib.suppress(ProcessLookupError):
                os.kill(who[0], number)

    def stop(self, name: str, number: int = signal.SIGTERM, limit_s: float = 10) -> None:
        """Asks it to end; a deaf one is killed."""
        self.send(name, number)
        deadline = time.monotonic() + limit_s
        while self.alive(name):
            if time.monotonic() > deadline:
                self.send(name, signal.SIGKILL)
            time.sleep(0.02)

    def names(self) -> list[str]:
        """All that were ever started here."""
        folder = self.folder / "pid"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def tail(self, name: str) -> str:
        """The end of its log."""
        try:
            lines = (self.folder / "log" / f"{name}.log").read_text(errors="replace").splitlines()
        except OSError:
            return f"{name} has no log"
        return "\n".join([f"--- {name}", *lines[-TAIL_LINES:]])


def running(who: tuple[int, int] | None) -> bool:
    """Whether a process with this id and this start time runs (one that has ended but was not waited for does not)."""
    return who is not None and identity(who[0]) == who


def identity(pid: int) -> tuple[int, int] | None:
    """Process id and start time of a process that runs now."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else (pid, int(fields[19]))


def wait_for(
    done: Callable[[], object], limit_s: float, complaint: str, evidence: Callable[[], str], every_s: float = 0.05
) -> None:
    """Waits, but not for ever; the error shows the evidence."""
    deadline = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > deadline:
            raise KubeboxError(f"{complaint} within {limit_s:g} s\n{evidence()}")
        time.sleep(every_s)
