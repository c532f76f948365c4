"""How long a newcomer waits: from an empty state folder to the first job that is Completed."""

from __future__ import annotations

import time

from benchmarks.kit import Figures, a_server, a_site, folder, median


def run(quick: bool) -> Figures:
    """Each round begins with nothing: no database, no keys, no environment; uv's own cache of packages is as it is."""
    figures = Figures("first_job")
    rounds: list[dict[str, float]] = []
    for _ in range(1 if quick else 3):
        with folder() as base:
            rounds.append(_round(base))
    for name in rounds[0]:
        figures.add(name, median([one[name] for one in rounds]), "s")
    figures.notes.append(f"median of {len(rounds)} rounds; the job is `true` in an environment without packages")
    return figures


def _round(base) -> dict[str, float]:
    began = time.perf_counter()
    with a_server(base) as server:
        up = time.perf_counter()
        with a_site(base, server):
            joined = time.perf_counter()
            server.ended(server.submit("local"))
            done = time.perf_counter()
    return {
        "server answers": up - began, "site joined and ready": joined - up, "job submitted to Completed": done - joined,
        "all of it": done - began,
    }  # fmt: skip
