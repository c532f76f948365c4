"""The demo's place and voice: here a server and two sites as processes of their own, stopped by recorded pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.sdk.client import Client
from ferryml.sdk.sending import Target

PROJECT = Path(__file__).parent / "project"
START_LIMIT_S = 60.0
SITES = ("cloud", "onprem")
"""Names of the two sites, of their zones, and of the computes on them."""


class Stage:
    """Everything that runs. Use as a context manager; leaving stops what was started, unless `keep`."""

    pause_s: ClassVar[float] = 0.02
    """Seconds between two requests of one of the people who send images."""
    run_limit_s: ClassVar[float] = 240.0
    """Seconds that a run of the automation may take before the demo gives up."""

    def __init__(self, root: Path, keep: bool) -> None:
        self.root, self.keep = root, keep
        self.project = root / "project"
        self.data = root / "data"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._children: list[subprocess.Popen[bytes]] = []
        self._programs: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._began = time.monotonic()

    def __enter__(self) -> Stage:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if not self.keep or kind is not None:
            self.stop()

    # What differs from place to place

    def serve(self) -> Client:
        """Start the server; a client with the administrator's token, once it answers."""
        port = self.url.rsplit(":", 1)[1]
        self.start("server", "server", "--port", port, "--state-dir", str(self.root / "server"))
        return self.client()

    def join(self, client: Client) -> None:
        """The sites join, and are attached to the workspace."""
        for name in SITES:
            self.join_local(client, name, name)
        for name in SITES:
            self.online(client, name)
            client.computes.create({"name": name, "type": "local", "site": name})

    def keep_data(self, client: Client) -> None:
        """The plant's files come to where onprem finds them: the datastore `plant`."""
        client.datastores.create(
            {"name": "plant", "type": "local", "site": "onprem", "root": str(self.data), "description": "stays here"}
        )

    # What every place needs

    def join_local(self, client: Client, name: str, zone: str, settings: Mapping[str, str] | None = None) -> None:
        """A site of this machine; `online` waits for it."""
        made = client.sites.create({"name": name, "zone": zone})
        place = ("--server", self.url, "--state-dir", str(self.root / name))
        self.start(
            name, "agent", "run", *place, "--token", "-", "--accept-zone-bound", "--stop-work",
            secret=made["join_token"], settings=settings,
        )  # fmt: skip

    def online(self, client: Client, name: str, limit_s: float = START_LIMIT_S) -> None:
        """Wait until the site is heard from."""
        self.until(f"site {name}", partial(_is_online, client, name), limit_s)

    def who(self) -> dict[str, str]:
        """Environment in which `ferry` speaks to the server as its administrator."""
        return {"FERRY_URL": self.url, "FERRY_TOKEN": self.token.read_text().strip()}

    @property
    def token(self) -> Path:
        """File of the administrator's token."""
        return self.root / "server" / "admin.token"

    def say(self, text: str, *, mark: str = " ") -> None:
        """One line with the seconds since the start."""
        print(f"[{time.monotonic() - self._began:5.1f} s] {mark} {text}", flush=True)

    def title(self, text: str) -> None:
        """A chapter."""
        print(f"\n{text}", flush=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def ferry(self, *args: str) -> str:
        """Run one `ferry` command to its end as the administrator; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "ferryml.cli.main", *args], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **self.who()}, cwd=self.root,
        )  # fmt: skip
        if done.returncode != 0:
            raise Unavailable("Unavailable", f"ferry {args[0]} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def start(self, name: str, *args: str, secret: str = "", settings: Mapping[str, str] | None = None) -> None:
        """Start a `ferry` program that goes on running; `secret` is its line of input. Output is in NAME.log."""
        self.launch(name, [sys.executable, "-m", "ferryml.cli.main", *args], secret, settings)

    def launch(self, name: str, argv: list[str], secret: str = "", settings: Mapping[str, str] | None = None) -> None:
        """As `start`, any program."""
        with (self.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.PIPE, cwd=self.root,
                start_new_session=True, env={**os.environ, **(settings or {})},
            )  # fmt: skip
        self._programs.append((name, process))
        if process.stdin is not None:
            process.stdin.write(f"{secret}\n".encode())
            process.stdin.close()

    def script(self, *args: str) -> Callable[[], None]:
        """Start a Python script of the project beside everything else; call the answer to wait for its end."""
        process = subprocess.Popen([sys.executable, *args], cwd=self.project, stderr=subprocess.PIPE)
        self._children.append(process)

        def wait() -> None:
            _, said = process.communicate(timeout=START_LIMIT_S * 3)
            if process.returncode:
                raise Unavailable("Unavailable", f"{args[0]} failed: {said.decode(errors='replace')[-2000:]}")

        return wait

    def client(self) -> Client:
        """A client with the administrator's token, once the server answers."""
        self.until("the server", lambda: self.token.is_file() and self._answers())
        return Client(target=self.target(self.token.read_text().strip()), workspace="default")

    def trusted(self) -> ssl.SSLContext | bool:
        """Whose certificates callers of endpoints accept."""
        return True

    def target(self, token: str = "") -> Target:
        """The server, as who holds the token."""
        return Target(self.url, token)

    def until(self, what: str, true: Callable[[], bool], limit_s: float = START_LIMIT_S) -> None:
        """Wait until `true()`; raises Unavailable with the tail of the logs after `limit_s` seconds."""
        end = time.monotonic() + limit_s
        while not true():
            dead = [name for name, process in self._programs if process.poll() is not None]
            if dead or time.monotonic() > end:
                reason = f"{dead[0]} ended" if dead else f"it took more than {limit_s:g} s"
                raise Unavailable("ResourceNotReady", f"{what} is not there: {reason}\n{self.tails()}")
            time.sleep(0.05)

    def tails(self) -> str:
        """The last lines of each program's log."""
        parts = []
        for file in sorted(self.root.glob("*.log")):
            lines = file.read_text(errors="replace").splitlines()[-15:]
            parts.append("\n".join([f"--- {file.name}", *lines]))
        return "\n".join(parts)

    def stop(self) -> None:
        """Ends every program, sites first so that they stop their work, and waits for them."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait(timeout=10)
        for _, process in reversed(self._programs):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
        self._programs.clear()

    def how_to_stop(self) -> list[str]:
        """Lines for whoever kept it running."""
        return ["To stop it: kill " + " ".join(str(process.pid) for _, process in reversed(self._programs))]

    def _answers(self) -> bool:
        try:
            Client(target=self.target()).version()
        except FerryError:
            return False
        return True


def _is_online(client: Client, name: str) -> bool:
    return str(client.sites.get(name)["provisioning_state"]).lower() == "online"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
