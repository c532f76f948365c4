"""The user's program: started in a session of its own, ended with everything it has started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
import time

from ferryml.runner.state import start_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SET_CHILD_SUBREAPER = 36
_LOOK_AGAIN_S = 0.05

Event = "tuple[str, Any]"


def adopt_orphans() -> None:
    """Make this process the parent of whatever the program leaves behind, so that nothing can slip away (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Program:
    """`command` under bash, one copy for each rank, all writing to `log`.

    `events` gets `("ended", exit_code)` when all have ended well or the first has failed; 128 + N for signal N.
    """

    def __init__(
        self, command: str, env: dict[str, str], cwd: str, log: str, events: queue.SimpleQueue[Any], ranks: int = 1
    ) -> None:
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "bash"
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        with open(log, "ab") as output:
            for rank in range(ranks):
                own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
                started = subprocess.Popen(
                    [shell, "-c", command],
                    cwd=cwd,
                    env={**env, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._started[started.pid] = started
        self.pid = min(self._started)
        self.mark = start_mark(self.pid)
        self._running = set(self._started)
        self._events = events
        self._reaper = threading.Thread(target=self._reap, name="reaper", daemon=True)
        self._reaper.start()

    def signal(self, number: int) -> None:
        """To every session of it, and to descendants that made a session of their own."""
        self._send_groups(number)
        for pid in descendants(os.getpid()):
            _send(pid, number)

    def sweep(self, limit_s: float = 10) -> None:
        """Kill whatever is left of it, until nothing is."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            self._send_groups(signal.SIGKILL)
            left = descendants(os.getpid())
            if not left:
                return
            for pid in left:
                _send(pid, signal.SIGKILL)
            time.sleep(_LOOK_AGAIN_S / 5)

    def _reap(self) -> None:
        """Takes the exit of the program and of every orphan that was adopted."""
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            if pid in self._running:
                self._ended(pid, 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    def _ended(self, pid: int, code: int) -> None:
        self._started[pid].returncode = code
        self._running.discard(pid)
        if code or not self._running:
            self._events.put(("ended", code))

    def _send_groups(self, number: int) -> None:
        for pid in self._started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)


def descendants(root: int) -> list[int]:
    """Living processes below `root`, from /proc; empty where there is none."""
    children: dict[int, list[int]] = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    new = [root]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found += new
    return found


def memory_kills() -> int:
    """How often the kernel has killed for want of memory around here (this cgroup, else the machine)."""
    for path, key in (*_cgroup_counters(), ("/proc/vmstat", "oom_kill")):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                for line in file:
                    words = line.split()
                    if len(words) == 2 and words[0] == key:
                        return int(words[1])
        except (OSError, ValueError):
            continue
    return 0


def _cgroup_counters() -> list[tuple[str, str]]:
    found = []
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if controllers == "":
                    found.append((f"/sys/fs/cgroup{path}/memory.events", "oom_kill"))
                elif "memory" in controllers.split(","):
                    found.append((f"/sys/fs/cgroup/memory{path}/memory.oom_control", "oom_kill"))
    except (OSError, ValueError):
        pass
    return [*found, ("/sys/fs/cgroup/memory.events", "oom_kill")]


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
