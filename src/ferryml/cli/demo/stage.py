"""The demo's programs and voice: a server and two sites as processes of their own, stopped by recorded pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ferryml.domain.errors import FerryError, Unavailable
from ferryml.sdk.client import Client
from ferryml.sdk.sending import Target

PROJECT = Path(__file__).parent / "project"
START_LIMIT_S = 60.0


class Stage:
    """Everything that runs. Use as a context manager; leaving stops what was started, unless `keep`."""

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

    def ferry(self, *args: str, environment: dict[str, str] | None = None) -> str:
        """Run one `ferry` command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "ferryml.cli.main", *args], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, **(environment or {})}, cwd=self.root,
        )  # fmt: skip
        if done.returncode != 0:
            raise Unavailable("Unavailable", f"ferry {args[0]} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def start(self, name: str, *args: str, secret: str = "") -> None:
        """Start a `ferry` program that goes on running; `secret` is its line of input. Output is in NAME.log."""
        with (self.root / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ferryml.cli.main", *args], stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE, cwd=self.root, start_new_session=True,
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
        token = self.root / "server" / "admin.token"
        self.until("the server", lambda: token.is_file() and self._answers())
        return Client(target=Target(self.url, token.read_text().strip()), workspace="default")

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

    def pids(self) -> list[tuple[str, int]]:
        """Name and pid of each program."""
        return [(name, process.pid) for name, process in self._programs]

    def _answers(self) -> bool:
        try:
            Client(target=Target(self.url)).version()
        except FerryError:
            return False
        return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
