"""A real server with MLflow at /mlflow, real stores below it, and the real client in a process of its own."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from ferryml.domain.errors import Unauthenticated
from ferryml.server.mlflow.app import Limits, MlflowApp
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.host import MlflowHost
from ferryml.server.mlflow.runs import MlflowTracking
from ferryml.server.mlflow.tree import StoreTree
from ferryml.store.blobs import open_blobs
from ferryml.store.database import open_store
from mlflow_things import Things, make_things, post

CALLERS = {
    "anna": Caller("blue", "data-scientist"),
    "boss": Caller("blue", "owner"),
    "reed": Caller("blue", "reader"),
    "ivan": Caller("blue", "it-operator"),
    "scott": Caller("blue", "scorer"),
    "rosa": Caller("Red_Team", "data-scientist"),
    "dora": Caller("default", "data-scientist"),
    "job-one": Caller("blue", "data-scientist", "one"),
    "job-two": Caller("blue", "data-scientist", "two"),
}


def authorise(headers) -> Caller:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or token not in CALLERS:
        raise Unauthenticated("Unauthenticated", "Who are you?", "Log in.")
    return CALLERS[token]


@dataclass
class Running:
    """One server: its address, and its insides for what clients cannot see."""

    url: str
    host: MlflowHost
    tracking: MlflowTracking
    tree: StoreTree
    folder: Path

    def client(self, token: str, **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/mlflow", headers={"Authorization": f"Bearer {token}", **headers}, timeout=30
        )

    def python(self, token: str, script: str, **env: str) -> str:
        """Runs a script with the real mlflow client; the last line of its output."""
        ran = self.try_python(token, script, **env)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.strip().rpartition("\n")[2]

    def try_python(self, token: str, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        clean |= {
            "MLFLOW_TRACKING_URI": f"{self.url}/mlflow",
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "GIT_PYTHON_REFRESH": "quiet",
            **env,
        }
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
            env=clean, cwd=self.folder, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def running(folder: Path, mlflow_url: str, limits: Limits | None = None) -> Iterator[Running]:
    store = open_store(f"sqlite:///{folder}/ferry.db")
    tree = StoreTree(store, open_blobs(f"file://{folder}/artifacts"))
    host = MlflowHost(mlflow_url, tree)
    outer = FastAPI()
    outer.mount("/mlflow", MlflowApp(host, authorise, limits))
    server = uvicorn.Server(uvicorn.Config(outer, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Running(f"http://127.0.0.1:{port}", host, MlflowTracking(host, now), tree, folder)
    finally:
        server.should_exit = True
        thread.join(20)
        host.engine.dispose()
        store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("mlflow")
    with running(folder, f"sqlite:///{folder}/mlflow.db") as found:
        yield found


@pytest.fixture
def on_postgres(tmp_path, postgres_url) -> Iterator[Running]:
    with running(tmp_path, postgres_url) as found:
        yield found


@pytest.fixture
def serving(tmp_path) -> Callable[..., Any]:
    """A server with limits of the test's choosing."""
    return lambda limits: running(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", limits)


@pytest.fixture(scope="module")
def red(server) -> Things:
    things = make_things(server)
    with server.client("anna") as blue:
        mine = post(blue, "/api/2.0/mlflow/experiments/create", name="mine")["experiment_id"]
        run = post(blue, "/api/2.0/mlflow/runs/create", experiment_id=mine, start_time=1)["run"]["info"]["run_id"]
        server.mine, server.my_run = mine, run
    return things
