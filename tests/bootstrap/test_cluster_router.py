"""Sidecar and tap as programs of their own around a HAProxy that somebody else starts; killed and frozen under load."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import httpx
import pytest

from ferryml.bootstrap import cluster_router
from ferryml.domain.routes import RouterTable
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.process import argv
from ferryml.settings import RouterSettings
from fixtures_components import stop, unused_port
from router_load import Load
from router_play import Play, until

UID, A, B = "endpoint.ws.digits", "a" * 10, "b" * 10


class Pod:
    """The three containers. As a router for `Play` it writes the table that the sidecar watches."""

    any_thread = False

    def __init__(self, haproxy: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="fr-"))
        (self.base / "secret").write_text("of-the-operator\n")
        self.port, self.door = unused_port(), unused_port()
        self.settings = RouterSettings(
            folder=self.base, bind=f"127.0.0.1:{self.port}", table_file=self.base / "table.json",
            door_bind=f"127.0.0.1:{self.door}", door_secret_file=self.base / "secret",
        )  # fmt: skip
        self.options = Options(folder=f"{self.base}/files", run=f"{self.base}/run", bind=())
        self._program = haproxy
        self.generation = 0
        self.children: dict[str, subprocess.Popen] = {}

    def apply(self, route) -> None:
        self.generation += 1
        draft = self.base / "table.new"
        draft.write_text(RouterTable(generation=self.generation, endpoints=(route,)).model_dump_json())
        draft.replace(self.base / "table.json")

    async def acknowledged(self) -> None:
        await until(lambda: self.state().get("acknowledged") == self.generation, 15)

    def start_haproxy(self) -> None:
        self.children["haproxy"] = subprocess.Popen(argv(self._program, self.options), stderr=subprocess.DEVNULL)

    def start_tap(self) -> None:
        self._start("tap")

    def start_sidecar(self) -> None:
        self._start("sidecar")

    def _start(self, name: str) -> None:
        said = {
            "FERRY_ROUTER_FOLDER": str(self.base), "FERRY_ROUTER_BIND": self.settings.bind,
            "FERRY_ROUTER_TABLE_FILE": str(self.settings.table_file), "FERRY_ROUTER_DOOR_BIND": self.settings.door_bind,
            "FERRY_ROUTER_DOOR_SECRET_FILE": str(self.settings.door_secret_file),
        }  # fmt: skip
        argv = [sys.executable, "-c", "from ferryml.cli.main import main; main()", "router", name]
        self.children[name] = subprocess.Popen(argv, env=os.environ | said)

    def ask(self, path: str, secret: str = "of-the-operator") -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.get(f"http://127.0.0.1:{self.door}{path}", headers=headers, timeout=5, trust_env=False)

    def state(self) -> dict:
        with contextlib.suppress(httpx.TransportError):
            return self.ask("/state").json()
        return {}

    def totals(self) -> dict:
        return self.state().get("endpoints", {}).get(UID, {}).get("totals", {})

    def send(self, name: str, number: int) -> None:
        self.children[name].send_signal(number)

    def stop(self) -> None:
        for child in self.children.values():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGCONT)
            stop(child)
        shutil.rmtree(self.base)


@pytest.fixture
async def pod(component):
    made = Pod(component("haproxy")["program"])
    yield made
    made.stop()


@pytest.fixture
async def calls(pod):
    """Two revisions, the second mirrored, served by the pod."""
    play = Play(pod, pod.port)
    await play.model(A, 1, max_concurrent_requests=50)
    await play.model(B, 1, max_concurrent_requests=4)
    play.weights, play.mirror = {A: 100}, {B: 50}
    play.apply()
    pod.start_sidecar()
    pod.start_tap()
    await until(lambda: (pod.base / "files" / "haproxy.cfg").exists(), 20)
    pod.start_haproxy()
    await pod.acknowledged()
    yield play
    await play.stop()


async def test_programs_of_a_router_pod(pod, calls):
    async with Load(pod.port, callers=4) as load:
        await load.more(100)
        await until(lambda: pod.totals()[B]["mirrored"] > 20, 15)
        # what the tap suffers, nobody else feels
        pod.send("tap", signal.SIGSTOP)
        await load.more(200)
        pod.send("tap", signal.SIGKILL)
        pod.send("tap", signal.SIGCONT)
        await load.more(100)
        pod.children["tap"].wait(10)
        pod.start_tap()
        before = pod.totals()[B]["mirrored"]
        await until(lambda: pod.totals()[B]["mirrored"] > before, 15)
        # nor a sidecar that ends: HAProxy serves on, and the next one goes on where it stood
        pod.send("sidecar", signal.SIGKILL)
        await load.more(100)
        pod.children["sidecar"].wait(10)
        calls.weights = {A: 0, B: 100}
        calls.apply()
        pod.start_sidecar()
        await pod.acknowledged()
        assert (await calls.ask()).headers["azureml-model-deployment"] == "dep-b"
        await load.more(50)
    assert set(load.seen) == {200}
    assert pod.totals()[B]["errors"] == pod.totals()[A]["errors"] == 0


async def _noted(pod, calls):
    """An answer that was noted: the programs beside HAProxy may come a moment after it, and miss what was before."""
    for _ in range(50):
        said = await calls.ask()
        for _ in range(20):
            if [UID, said.headers["x-request-id"], A, "1"] in [one for _, *one in pod.ask("/captured?after=0").json()]:
                return said
            await asyncio.sleep(0.02)
    raise AssertionError("nothing was noted")


async def test_the_door_tells_only_whom_it_should(pod, calls):
    assert pod.ask("/healthz", "none").status_code == 200
    assert pod.ask("/readyz", "none").status_code == 200
    said = await _noted(pod, calls)
    for path in ("/state", "/captured?after=0", "/nowhere"):
        assert pod.ask(path, "wrong").status_code == 401
    assert pod.ask("/nowhere").status_code == 404
    await until(lambda: pod.totals()[A]["requests"] > 0)
    name = 'ferry_router_requests_total{endpoint="digits",deployment="dep-a",revision="aaaaaaaaaa"} '
    assert f"{name}{pod.totals()[A]['requests']:g}" in pod.ask("/metrics", "none").text.splitlines()
    assert 'quantile="0.99"' in pod.ask("/metrics", "none").text
    number, *captured = pod.ask("/captured?after=0").json()[-1]
    assert captured == [UID, said.headers["x-request-id"], A, "1"]
    assert pod.ask(f"/captured?after={number}").json() == []
    state = pod.state()["endpoints"][UID]
    assert {tuple(place[:2]) for place in state["busy"]} == {(A, 0), (B, 0)}
    assert state["queued"] == {A: 0, B: 0}


async def test_a_table_that_cannot_be_changes_nothing(pod, calls):
    good = (pod.base / "table.json").read_text()
    for bad in ("{", json.dumps({"endpoints": [{"uid": "x"}]}), good.replace("dep-a", "a b")):
        (pod.base / "table.json").write_text(bad)
        await asyncio.sleep(0.2)
        assert (await calls.ask()).status == 200
    calls.weights = {A: 0}
    calls.apply()
    await pod.acknowledged()
    assert (await calls.ask()).status == 404


def test_a_table_file_that_is_not_there_yet(tmp_path):
    over, told = threading.Event(), []
    thread = threading.Thread(target=cluster_router.TableFile(tmp_path / "table.json"), args=(told.append, over))
    thread.start()
    (tmp_path / "table.json").write_text('{"generation": 7}')
    for _ in range(100):
        if told:
            break
        over.wait(0.02)
    over.set()
    thread.join(5)
    assert told == [RouterTable(generation=7)]
