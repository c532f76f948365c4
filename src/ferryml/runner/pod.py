"""What every subcommand inside a pod needs: the plan, which pod of the job this is, and the way to the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable

from ferryml.runner.door import Door

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UMASK = 0o002
"""The group shares the files: the program runs as another user than what brings and collects them."""
LAST_WORDS = "/dev/termination-log"
DOOR_PORT = 8471


class Pod:
    """One pod of an attempt.

    Args:
        plan_path: job.json, the same for all pods of the attempt.
        folder: what this pod's containers share.
    """

    def __init__(self, plan_path: str, folder: str) -> None:
        os.umask(UMASK)
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        with open(plan_path, encoding="utf-8") as file:
            self.plan: dict[str, Any] = json.load(file)
        self.index = int(os.environ.get("JOB_COMPLETION_INDEX") or 0)
        self.instances = int(self.plan.get("instances") or 1)
        self.env_folder = os.path.join(os.path.dirname(self.folder), "env")

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def door(
        self, patience_s: float, stop: threading.Event | None = None, waiting: Callable[[str], None] = lambda why: None
    ) -> Door:
        return Door(self.plan["gateway"], self.token, patience_s, stop, waiting, self.plan.get("ca") or "")

    def token(self) -> str:
        """Read anew each time: the cluster replaces it within the hour."""
        with open(self.plan["token_file"], encoding="ascii") as file:
            return file.read().strip()

    def last_words(self, code: str, message: str) -> None:
        """For the pod's status, where they are found even when the gateway is away."""
        with contextlib.suppress(OSError), open(LAST_WORDS, "w", encoding="utf-8") as file:
            json.dump({"code": code, "message": message[:2000]}, file)


def options(argv: list[str]) -> dict[str, str]:
    """`--plan P --folder F` as a mapping; empty when it is anything else."""
    return dict([argv[:2], argv[2:]]) if len(argv) == 4 and argv[::2] == ["--plan", "--folder"] else {}
