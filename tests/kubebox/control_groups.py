"""Control groups hold every process of a node, so that whatever a crashed run left behind is found and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from kubebox.places import KubeboxError

ROOT = Path("/sys/fs/cgroup")
SYSTEM = "system"  # beside kubelet's own kubepods
END_LIMIT_S = 15


def unified() -> bool:
    """Version 2: one hierarchy. Version 1 has one for each controller."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The folders in which groups are made."""
    if unified():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.is_symlink()]


def make(name: str) -> Path:
    """The group in every hierarchy; answers its entrance."""
    if unified():
        _hand_down(ROOT)
    for top in hierarchies():
        (top / name / SYSTEM).mkdir(parents=True, exist_ok=True)
        if (top / "cpuset.mems").exists() and not unified():
            for folder in (top / name, top / name / SYSTEM):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (folder / file).write_text((top / file).read_text())
    if unified():
        _hand_down(ROOT / name)
    return entrance(name)


def entrance(name: str) -> Path:
    """The file to which a process writes its id to join."""
    return _main() / name / SYSTEM / "cgroup.procs"


def processes(name: str) -> list[int]:
    """Every process of the group and of those below it."""
    found: set[int] = set()
    for file in (_main() / name).rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            found.update(int(line) for line in file.read_text().split())
    return sorted(found)


def end(name: str) -> None:
    """Kills whatever is in the group and removes it."""
    deadline = time.monotonic() + END_LIMIT_S
    while left := processes(name):
        if time.monotonic() > deadline:
            raise KubeboxError(f"processes of {name} do not end: {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for top in hierarchies():
        for folder in sorted((top / name).rglob("*/"), key=lambda path: -len(path.parts)):
            _remove(folder)
        _remove(top / name)


def _main() -> Path:
    return next((top for top in hierarchies() if top.name in ("pids", "freezer")), hierarchies()[0])


def _remove(folder: Path) -> None:
    for _ in range(20):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)  # a process that has just ended still counts for a moment
        else:
            return


def _hand_down(group: Path) -> None:
    """Version 2: children may be limited only where no process sits beside them."""
    wanted = [f"+{c}" for c in (group / "cgroup.controllers").read_text().split()]
    file = group / "cgroup.subtree_control"
    try:
        file.write_text(" ".join(wanted))
    except OSError:
        aside = group / "kubebox-others"
        aside.mkdir(exist_ok=True)
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (aside / "cgroup.procs").write_text(pid)
        for one in wanted:
            with contextlib.suppress(OSError):
                file.write_text(one)
