"""SIGTERM under load: whoever waits, streams or dawdles, the server ends in time and by itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from system_play import W, World, until

pytestmark = pytest.mark.timeout(180)
ARTIFACTS = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
EACH, BIG = 4, 32 << 20


class Crowd:
    """Threads that each do one thing over and over, until the server is gone."""

    def __init__(self, world: World) -> None:
        self._world, self._over = world, threading.Event()
        self._threads: list[threading.Thread] = []
        self.at_work: set[str] = set()

    def join_in(self, name: str, deed: Callable[[httpx.Client], None]) -> None:
        def run() -> None:
            headers = {"Authorization": f"Bearer {self._world.token}"}
            with httpx.Client(base_url=self._world.url, headers=headers, timeout=60, trust_env=False) as client:
                while not self._over.is_set():
                    self.at_work.add(name)
                    with suppress(httpx.HTTPError):
                        deed(client)
                    self._over.wait(0.01)

        self._threads += [threading.Thread(target=run, daemon=True) for _ in range(EACH)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def pause(self) -> bool:
        """True once it is over."""
        return self._over.wait(0.05)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FERRY_SERVER_STOP_LIMIT_S="25")
    made.serve()
    made.join()
    yield made
    made.close()


def test_it_ends_by_itself_whatever_is_under_way(world: World) -> None:
    world.submit("long", "while true; do echo line; sleep 0.1; done")
    world.settles("long", "Running")
    run = world.job("long")["ferry"]["mlflow_run_id"]
    with httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.token}"}, trust_env=False) as http:
        info = http.get("/mlflow/api/2.0/mlflow/runs/get", params={"run_id": run}).json()["run"]["info"]
        place = info["artifact_uri"].partition(":/")[2].strip("/")
        assert http.put(f"{ARTIFACTS}/{place}/big", content=os.urandom(BIG), timeout=60).status_code == 200
    crowd = Crowd(world)
    point = {"run_id": run, "key": "k", "value": 1, "timestamp": 1, "step": 1}

    def downloads(client: httpx.Client) -> None:
        with client.stream("GET", f"{ARTIFACTS}/{place}/big") as answer:
            for _ in answer.iter_raw(1 << 16):
                if crowd.pause():
                    return

    def uploads(client: httpx.Client) -> None:
        def dripping() -> Iterator[bytes]:
            while not crowd.pause():
                yield b"drop"

        client.put(f"{ARTIFACTS}/{place}/slow-{threading.get_ident()}", content=dripping())

    log = {"path": "user_logs/std_log.txt", "offset": 10**9, "wait": 50}
    crowd.join_in("log", lambda client: void(client.get(f"/api/v1{W}/jobs/long/logs/content", params=log)))
    crowd.join_in("events", lambda client: void(client.get(f"/api/v1{W}/events", params={"after": 10**9, "wait": 50})))
    crowd.join_in("metric", lambda client: void(client.post("/mlflow/api/2.0/mlflow/runs/log-metric", json=point)))
    crowd.join_in("downloads", downloads)
    crowd.join_in("uploads", uploads)
    crowd.start()
    until(lambda: {"log", "events", "metric", "downloads", "uploads"} == crowd.at_work, 20, world.tail)
    crowd.pause()

    server = world.programs["server"]
    server.send_signal(signal.SIGTERM)
    code = server.wait(40)
    crowd.end()
    # 1 would be an end by force
    assert code == 0, world.tail()
    world.programs.pop("server")
    world.serve()
    assert world.job("long")["status"] == "Running"


def void(answer: httpx.Response) -> None:
    """Any answer will do."""
    assert answer.status_code
