"""The runner's memory on disk, from which the agent reads what goes on and re-adopts the work after a restart."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


STATE_FILE = "state.json"
PHASES = ("new", "staging", "running", "collecting", "done")


class State:
    """What is known of one attempt; every `save` replaces the file as a whole."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, STATE_FILE)
        self.phase = "new"
        self.message = ""
        self.code = ""
        """Set when it ended for a reason that is not the user's program."""
        self.runner: dict[str, Any] = {}
        """`{pid, mark}` of this process; the mark tells it from a later process with the same pid."""
        self.main: dict[str, Any] = {}
        self.started_at: float | None = None
        """When the user's program started, seconds since 1970."""
        self.ended_at: float | None = None
        self.exit_code: int | None = None
        self.error_lines: list[str] = []
        self.machine_fault = False
        self.outputs_done = False
        self.receipt: Any = None
        self.notes: list[str] = []

    def load(self) -> State:
        """Takes over what an earlier runner of the same attempt wrote, if anything."""
        try:
            with open(self.path, encoding="utf-8") as file:
                known = json.load(file)
        except (FileNotFoundError, ValueError):
            return self
        for key, value in known.items():
            if key in self.__dict__ and key != "path":
                setattr(self, key, value)
        return self

    def save(self, **changes: Any) -> None:
        """Changes the fields given and writes the file atomically."""
        for key, value in changes.items():
            setattr(self, key, value)
        partial = self.path + ".partial"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(self.content(), file)
        os.replace(partial, self.path)

    def content(self) -> dict[str, Any]:
        """What is written down."""
        return {key: value for key, value in self.__dict__.items() if key != "path"}

    def note(self, text: str) -> None:
        """Something to be said once on the job."""
        if text not in self.notes:
            self.notes.append(text)


def start_mark(pid: int) -> str:
    """Boot and start time of a process in ticks: two processes with one pid never share it. Empty when unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}:{fields[19].decode()}"
    except (OSError, IndexError):
        return ""
