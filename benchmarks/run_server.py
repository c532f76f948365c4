"""A server as a process of its own, so that its memory and time are its alone; prints `ready URL`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ferryml.bootstrap.loops import Loops
from ferryml.bootstrap.server import LOOPS, build
from ferryml.settings.server import ServerSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--without", default="", help="a loop that is not run")
    asked = parser.parse_args()
    program = build(ServerSettings(state_dir=asked.state, port=0))
    if asked.without:
        kept = [loop for loop in LOOPS if loop.name != asked.without]
        program.loops = Loops(program.deps, kept, holder="benchmark")
    print("ready", program.url, flush=True)
    program.run()
