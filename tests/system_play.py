"""A server and sites as programs of their own, which a test starts, kills with -9 and starts again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from ferryml.backends.local.processes import start_mark
from relay import Relay

W = "/workspaces/default"
ENDS = ("Completed", "Failed", "Canceled")
PLAIN = {"name": "plain", "image": "python:3"}
"""An environment without packages: ready at once."""
QUICK = {"FERRY_SITE_RETRY_MAX_S": "0.5", "FERRY_SITE_CANCEL_GRACE_S": "1", "FERRY_SITE_MAX_PARALLEL_JOBS": "4"}
"""Settings that let a test see soon what in life may take half a minute."""


class World:
    """One server, its sites, and one owner's client. `close` ends every process that was started."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.environment = {**os.environ, **QUICK, **settings}
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30, trust_env=False)
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.relays: dict[str, Relay] = {}

    # programs
    def serve(self) -> None:
        """Start the server and wait until it answers."""
        self._start("server", "server", "--port", str(self.port), "--state-dir", str(self.folder / "server"))
        until(self._answers, 60, self.tail)
        token = (self.folder / "server" / "admin.token").read_text().strip()
        self.api.headers["Authorization"] = f"Bearer {token}"

    def join(self, name: str = "local", compute: str = "here", zone: str = "") -> None:
        """A new site behind a relay of its own, with a compute on it."""
        self.relays[name] = Relay(self.port)
        made = self.post("/sites", {"name": name, "zone": zone})
        self.run_site(name, "--token", "-", secret=made["join_token"])
        until(lambda: self.get(f"/sites/{name}")["provisioning_state"] == "Online", 60, self.tail)
        self.post(f"{W}/computes", {"name": compute, "type": "local", "site": name})

    def run_site(self, name: str = "local", *more: str, secret: str = "") -> None:
        """Start the site's program; its jobs and deployments outlive it."""
        place = ("--server", self.relays[name].url, "--state-dir", str(self.folder / name))
        self._start(name, "agent", "run", *place, "--accept-zone-bound", "--stop-work", *more, secret=secret)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.programs.pop(name)
        process.kill()
        process.wait(10)

    def ferry(self, *args: str) -> str:
        """One `ferry` command to its end."""
        environment = {**os.environ, "FERRY_URL": self.url, "FERRY_TOKEN": self.token}
        done = subprocess.run(
            [sys.executable, "-m", "ferryml.cli.main", *args], capture_output=True, text=True, timeout=60, check=False,
            cwd=self.folder, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def token(self) -> str:
        return self.api.headers["Authorization"].removeprefix("Bearer ")

    def close(self) -> None:
        """Sites first, and those that were killed once more, so that they end their work."""
        names = list(self.relays)
        for relay in self.relays.values():
            relay.mend()
        for name in names:
            if name not in self.programs and (self.folder / name).exists():
                self.run_site(name)
                with suppress(AssertionError):
                    until(lambda name=name: "site works" in self.log(name).split("\n==\n")[-1], 30)
        for name in (*names, "server"):
            process = self.programs.pop(name, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        for relay in self.relays.values():
            relay.close()
        self.api.close()
        self._sweep()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self) -> str:
        names = (*self.relays, "server")
        return "\n".join(f"--- {name}\n" + "\n".join(self.log(name).splitlines()[-25:]) for name in names)

    def _start(self, name: str, *args: str, secret: str = "") -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            log.write(b"\n==\n")
            log.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "ferryml.cli.main", *args], stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE, cwd=self.folder, start_new_session=True, env=self.environment,
            )  # fmt: skip
        self.programs[name] = process
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(f"{secret}\n".encode())
            process.stdin.close()

    def _answers(self) -> bool:
        assert self.programs["server"].poll() is None, self.tail()
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/api/v1/readyz", timeout=5, trust_env=False).status_code == 200
        return False

    def _sweep(self) -> None:
        """What a broken test may have left: only processes that a site wrote down, and only those same ones."""
        for state in self.folder.glob("*/jobs/*/*/state.json"):
            kept = json.loads(state.read_text())
            for part in ("main", "runner"):
                told = kept.get(part) or {}
                pid = told.get("pid")
                if pid and start_mark(pid) and start_mark(pid) == told.get("mark"):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    # calls
    def get(self, path: str, **params: Any) -> Any:
        return good(self.api.get(path, params=params))

    def post(self, path: str, body: Any = None) -> Any:
        return good(self.api.post(path, json=body))

    def put(self, path: str, body: Any) -> Any:
        return good(self.api.put(path, json=body))

    # jobs
    def submit(self, name: str, command: str, compute: str = "here", **spec: Any) -> httpx.Response:
        job = {
            "type": "command", "name": name, "command": command, "compute": f"azureml:{compute}", "environment": PLAIN,
            **spec,
        }  # fmt: skip
        return self.api.post(f"{W}/jobs", json=job)

    def job(self, name: str) -> Any:
        return self.get(f"{W}/jobs/{name}")

    def settles(self, name: str, *phases: str, within_s: float = 60) -> Any:
        wanted = phases or ENDS
        until(lambda: self.job(name)["status"] in wanted, within_s, lambda: f"{self.job(name)}\n{self.tail()}")
        return self.job(name)


class Callers:
    """People who score without a pause; every answer is kept as (seconds, status, body)."""

    def __init__(self, uri: str, key: str, people: int = 2, pause_s: float = 0.01, patience_s: float = 30) -> None:
        self._uri, self._key, self._pause_s, self._patience_s = uri, key, pause_s, patience_s
        self._end, self._lock = threading.Event(), threading.Lock()
        self._kept: list[tuple[float, int, str]] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(people)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(35)

    def answers(self, since: float = 0.0) -> list[tuple[int, str]]:
        with self._lock:
            return [(status, body) for at, status, body in self._kept if at >= since]

    def failures(self) -> list[tuple[float, int, str]]:
        """(when it began, status, body) of all that were not answered with 200; status 0: not at all."""
        with self._lock:
            return [one for one in self._kept if one[1] != 200]

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(trust_env=False, timeout=self._patience_s, headers=headers) as http:
            while not self._end.wait(self._pause_s):
                began = time.monotonic()
                try:
                    said = http.post(self._uri, json={"x": 1})
                    one = (began, said.status_code, said.text)
                except httpx.HTTPError as error:
                    one = (began, 0, type(error).__name__)
                with self._lock:
                    self._kept.append(one)


def good(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return answer.json() if answer.content else None


def until(true: Callable[[], Any], within_s: float, words: Callable[[], str] = lambda: "") -> None:
    """Looks often, and less often the longer it waits, for looking costs what is waited for; fails with `words`."""
    began = time.monotonic()
    while not true():
        waited = time.monotonic() - began
        assert waited < within_s, f"not within {within_s} s: {words()}"
        time.sleep(min(0.25, 0.05 + waited / 20))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
