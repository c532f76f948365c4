"""How soon a job's process runs after it was submitted, when its environment is there already."""

from __future__ import annotations

import time

from benchmarks.kit import Figures, a_server, a_site, folder

COMMAND = "date +%s%N"


def run(quick: bool) -> Figures:
    """One job after another; the job itself writes when it began, by the clock of this machine."""
    figures, started, ended = Figures("start_latency"), [], []
    count = 10 if quick else 100
    with folder() as base, a_server(base) as server, a_site(base, server):
        server.ended(server.submit("local"))
        for _ in range(count):
            asked = time.time_ns()
            name = server.submit("local", COMMAND)
            server.ended(name)
            ended.append((time.time_ns() - asked) / 1e6)
            started.append((int(server.log(name).split()[0]) - asked) / 1e6)
    figures.spread("submit to process started", started, "ms")
    figures.spread("submit to Completed seen", ended, "ms")
    figures.notes.append(f"{count} jobs one after another, `{COMMAND}`")
    return figures
