"""How fast jobs are taken, and how fast a backlog of them reaches ten sites over the real link."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.kit import Figures, Server, a_server, checked, folder
from benchmarks.sites import SimulatedSite

SITES = 10
CALLERS = 4


def run(quick: bool) -> Figures:
    """The backlog is made with the dispatch loop held back; then it is let go, with all sites waiting."""
    figures, count = Figures("dispatch"), 100 if quick else 1000
    with folder() as base, a_server(base, "--hold", "dispatch", "--until", str(base / "go")) as server:
        sites = [SimulatedSite(server, f"site-{n}", base) for n in range(SITES)]
        cpu = server.program.cpu_s()
        figures.add(f"submitted and taken, {CALLERS} callers", count / submit_all(server, count), "jobs/s")
        figures.add("server CPU of a submission", (server.program.cpu_s() - cpu) / count * 1000, "ms")
        cpu = server.program.cpu_s()
        figures.add("dispatched to 10 sites", count / _drain(sites, count, base / "go"), "jobs/s")
        figures.add("server CPU of a dispatch", (server.program.cpu_s() - cpu) / count * 1000, "ms")
    figures.notes.append(f"backlog of {count} jobs; dispatched: until the last wish was received by its site")
    return figures


def submit_all(server: Server, count: int) -> float:
    """Jobs spread over all sites; the seconds it took."""
    local = threading.local()

    def submit(number: int) -> None:
        if not hasattr(local, "api"):
            local.api = httpx.Client(
                base_url=server.url, headers=dict(server.api.headers), timeout=120, trust_env=False
            )
        spec = {"command": "true", "environment": {"image": "python:3"}, "compute": f"azureml:site-{number % SITES}"}
        checked(local.api.post("/api/v1/workspaces/default/jobs", json=spec))

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(submit, range(count)))
    return time.perf_counter() - began


def _drain(sites: list[SimulatedSite], count: int, gate: Path) -> float:
    began = time.perf_counter()
    gate.touch()
    receive(sites, count)
    return time.perf_counter() - began


def receive(sites: list[SimulatedSite], count: int, limit_s: float = 300) -> None:
    """Every site pulls until it has its share; raises TimeoutError."""
    deadline = time.monotonic() + limit_s

    def work(site: SimulatedSite) -> None:
        while len(site.wishes) < count // len(sites):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{site.name} has {len(site.wishes)} wishes")
            site.pull(5)

    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(work, sites))
