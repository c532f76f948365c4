"""A real server's use cases behind real HTTP, a client of it, and the command line as it is typed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from control_play import OWNER, WORKSPACE, Play
from ferryml.cli.main import main
from ferryml.control import tokens
from ferryml.sdk.client import Client
from ferryml.sdk.sending import Target
from ferryml.server.app import make_app


class Desk(Play):
    """The play of the use cases, listening on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.site()
        app = make_app(self.deps)
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_keep_alive=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + 20
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.target = Target(f"http://127.0.0.1:{port}", self.token("owner", "*"))

    def token(self, role: str, workspace: str = WORKSPACE) -> str:
        return str(tokens.create(self.deps, OWNER, workspace, role, role)["token"])

    def client(self, token: str = "") -> Client:
        return Client(target=Target(self.target.url, token or self.target.token), workspace=WORKSPACE)

    def close(self) -> None:
        self.deps.stopping.set()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)
        super().close()


@dataclass(frozen=True)
class Said:
    """What a command line answered."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One server a file; tests use names of their own."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    yield made
    made.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[Client]:
    with desk.client() as made:
        yield made


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder as the current one, and nothing of this machine's owner around it."""
    for name in ("FERRY_URL", "FERRY_TOKEN", "FERRY_WORKSPACE", "FERRY_CONTEXT", "FERRY_OUTPUT", "FERRY_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FERRY_CONFIG", str(tmp_path / "config" / "config.yaml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def typed(alone: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """A command line without a server: `typed("context", "list")`."""

    def run(*args: str) -> Said:
        capsys.readouterr()
        code = main(args)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def ferry(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: Callable[..., Said]
) -> Callable[..., Said]:  # fmt: skip
    """A command line that talks to the desk."""
    monkeypatch.setenv("FERRY_URL", desk.target.url)
    monkeypatch.setenv("FERRY_TOKEN", desk.target.token)
    monkeypatch.setenv("FERRY_WORKSPACE", WORKSPACE)
    return typed
