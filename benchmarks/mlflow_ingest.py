"""MLflow writes through Ferry's /mlflow beside a stock MLflow server on SQLite: one client code, one run, in turns."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from mlflow import MlflowClient
from mlflow.entities import Metric

from benchmarks.kit import START_S, Figures, Program, a_server, folder, median, until

BATCH = 100
CALLERS = 4


def run(quick: bool) -> Figures:
    """Each round measures both, the order changing from round to round; medians over the rounds."""
    figures, rounds, calls = Figures("mlflow_ingest"), 2 if quick else 5, 10 if quick else 40
    taken: dict[str, list[float]] = {}
    with folder() as base, ExitStack() as stack:
        server = stack.enter_context(a_server(base))
        stock, stock_url = stack.enter_context(_stock(base))
        os.environ["MLFLOW_TRACKING_TOKEN"] = server.token
        both = {"Ferry": Writer(f"{server.url}/mlflow"), "stock MLflow": Writer(stock_url)}
        for writer in both.values():
            writer.measure(2)
        for number in range(rounds):
            for name in list(both)[:: 1 if number % 2 else -1]:
                for what, rate in both[name].measure(calls).items():
                    taken.setdefault(f"{what}: {name}", []).append(rate)
        figures.add("RSS after: Ferry server", server.program.rss(), "MiB")
        figures.add("RSS after: stock MLflow, its workers together", stock.rss(), "MiB")
    for name in sorted(taken):
        figures.add(name, median(taken[name]), "calls/s" if "log_metric" in name else "metrics/s")
    for what in sorted({name.partition(": ")[0] for name in taken}):
        ratios = [a / b for a, b in zip(taken[f"{what}: Ferry"], taken[f"{what}: stock MLflow"], strict=True)]
        figures.add(f"{what}: Ferry over stock", median(ratios), "times")
    figures.notes.append(
        f"{rounds} rounds; stock is `mlflow server` on SQLite with its default workers and without its job consumers"
    )
    return figures


class Writer:
    """The same unmodified MLflow client against either server."""

    def __init__(self, url: str) -> None:
        self._client = MlflowClient(url)
        self._experiment = self._client.create_experiment("benchmark")

    def measure(self, calls: int) -> dict[str, float]:
        """What -> rate. Every measurement has runs of its own."""
        return {
            "log_metric": self._rate(calls, self._one),
            f"log_batch of {BATCH}": self._rate(calls, self._many) * BATCH,
            f"log_batch of {BATCH}, {CALLERS} callers": self._together(calls) * BATCH,
        }

    def _rate(self, calls: int, call: Callable[[str, int], None]) -> float:
        run = self._client.create_run(self._experiment).info.run_id
        began = time.perf_counter()
        for step in range(calls):
            call(run, step)
        return calls / (time.perf_counter() - began)

    def _together(self, calls: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda _: self._rate(calls // CALLERS, self._many), range(CALLERS)))
        return calls // CALLERS * CALLERS / (time.perf_counter() - began)

    def _one(self, run: str, step: int) -> None:
        self._client.log_metric(run, "loss", 1 / (step + 1), step=step)

    def _many(self, run: str, step: int) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(run, [Metric(f"m{n % 10}", n / 7, now, step * BATCH + n) for n in range(BATCH)])


@contextmanager
def _stock(base: Path) -> Iterator[tuple[Program, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    stores = ["--backend-store-uri", f"sqlite:///{base}/stock.db", "--artifacts-destination", f"{base}/stock"]
    url, env = f"http://127.0.0.1:{port}", {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    program = Program([*argv, *stores], base / "stock.log", env, speaks=False)
    try:
        until(lambda: _answers(url), START_S * 2, 0.1)
        yield program, url
    finally:
        program.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
