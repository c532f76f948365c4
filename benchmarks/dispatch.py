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
    """The backlog is made with the dispatch loop off; then the server is started anew, with it."""
    figures, count = Figures("dispatch"), 100 if quick else 1000
    with folder() as base:
        with a_server(base, "--without", "dispatch") as server:
            sites = [SimulatedSite(server, f"site-{n}", base) for n in range(SITES)]
            figures.add(f"submitted and taken, {CALLERS} callers", count / submit_all(server, count), "jobs/s")
        took = _drain(base, sites, count)
        figures.add("dispatched to 10 sites, backlog", count / took, "jobs/s")
        figures.add("backlog of", count, "jobs")
    figures.notes.append("dispatched: from the server's first answer to /readyz to the last wish received by its site")
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


def _drain(base: Path, sites: list[SimulatedSite], count: int) -> float:
    with a_server(base) as server:
        began = time.perf_counter()
        for site in sites:
            site.moved(server)
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
