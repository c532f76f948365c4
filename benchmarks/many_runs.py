"""What a thousand concurrent runs cost the server: memory while all are Running and log metrics, and how fast it is."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.dispatch import SITES, receive, submit_all
from benchmarks.kit import Figures, Program, Server, a_server, folder, until
from benchmarks.sites import SimulatedSite

METRICS = 10


def run(quick: bool) -> Figures:
    """Ten simulated sites hold all jobs; each job logs METRICS metrics in one call per round, through the journal."""
    figures, count, rounds = Figures("many_runs"), 100 if quick else 1000, 1 if quick else 5
    with folder() as base, a_server(base) as server:
        figures.add("server RSS, idle before", server.program.rss(), "MiB")
        sites = [SimulatedSite(server, f"site-{n}", base) for n in range(SITES)]
        with Peak(server.program) as peak:
            submit_all(server, count)
            receive(sites, count)
            figures.add(f"{count} reports Running taken up", count / _all_running(server, sites), "jobs/s")
            cpu, began = server.program.cpu_s(), time.perf_counter()
            _log(sites, rounds)
            took = time.perf_counter() - began
            figures.add("metrics taken from sites", count * METRICS * rounds / took, "metrics/s")
            figures.add("log-batch calls taken from sites", count * rounds / took, "calls/s")
            used = server.program.cpu_s() - cpu
            figures.add("server CPU while logging", used / took * 1000, "millicores")
            figures.add("server CPU of a log-batch call", used / (count * rounds) * 1000, "ms")
        figures.add(f"server RSS, peak with {count} runs", peak.mib, "MiB")
        figures.add(f"server RSS, afterwards with {count} runs", server.program.rss(), "MiB")
    figures.notes.append(
        f"{SITES} sites, {rounds} rounds of one log-batch of {METRICS} metrics from each of {count} runs"
    )
    return figures


class Peak:
    """The most memory a program had while the block ran, looked at ten times a second."""

    def __init__(self, program: Program) -> None:
        self.mib, self._program, self._over = 0.0, program, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.mib = max(self.mib, self._program.rss())


def _all_running(server: Server, sites: list[SimulatedSite]) -> float:
    """Seconds from the first report until the server shows every job Running."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(lambda site: site.report("Running", 1), sites))
    until(lambda: _none_waits(server) or None, 300, 0.1)
    return time.perf_counter() - began


def _none_waits(server: Server) -> bool:
    """Cheap to answer, so that looking does not slow what is looked at."""
    return not server.call("GET", "W/jobs", params={"status": "Queued", "limit": 1})["items"]


def _log(sites: list[SimulatedSite], rounds: int) -> None:
    def work(site: SimulatedSite) -> None:
        for seq in range(1, rounds + 1):
            site.log_metrics(seq, METRICS)

    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(work, sites))
