"""A server as a process of its own, so that its memory and time are its alone; prints `ready URL`."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

from ferryml.bootstrap.loops import Loops
from ferryml.bootstrap.server import LOOPS, ServerProgram, build
from ferryml.settings.server import ServerSettings


def _hold(program: ServerProgram, name: str, gate: Path) -> None:
    """The loop of that name runs once the file is there; the others at once."""
    program.loops = Loops(program.deps, [loop for loop in LOOPS if loop.name != name], holder="benchmark")
    held = Loops(program.deps, [loop for loop in LOOPS if loop.name == name], holder="benchmark")

    def wait() -> None:
        while not gate.exists():
            time.sleep(0.01)
        held.start()

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--hold", default="", help="a loop that waits for the file of --until")
    parser.add_argument("--until", type=Path)
    asked = parser.parse_args()
    program = build(ServerSettings(state_dir=asked.state, port=0))
    if asked.hold:
        _hold(program, asked.hold, asked.until)
    print("ready", program.url, flush=True)
    program.run()
