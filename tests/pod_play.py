"""One pod without a cluster: stage, main.sh and collect as processes of their own, a real gateway behind them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ferryml
from cluster_gateway_play import PREFIX, SYSTEM, PlayClusterGateway
from system_play import free_port

SOURCES = Path(ferryml.__file__).parents[1]
MAIN = Path(ferryml.__file__).parent / "runner" / "main.sh"


class PlayPod:
    """`run` takes it through its whole life and gives main's exit code."""

    def __init__(self, gateway: PlayClusterGateway, folder: Path, index: int = 0, **plan: Any) -> None:
        self.gateway, self.top, self.folder = gateway, folder, folder / "job"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{PREFIX}{index}-x" if plan.get("kind") != "preparation" else "prepare-k1-0-x"
        namespace = "team" if plan.get("kind") != "preparation" else SYSTEM
        (folder / "token").write_text(gateway.token("default", namespace, "ferry-gateway", name))
        self.port, self.index = free_port(), index
        self.plan = {
            "overlay": "", "uid": "job.w.j", "attempt": 1, "gateway": gateway.url, "ca": str(gateway.authority),
            "token_file": str(folder / "token"), "door_port": self.port, "environment": None, "path": [],
            "env": {"PYTHONUNBUFFERED": "1"}, "outputs": [], "fetch": [], "links": [], "copies": [],
            "folders": ["code", "outputs"], "roots": [], "ranks": 1, "instances": 1, "rank_env": [], "commands": [],
            "await_hosts": [], "mpi": None, "log_prefix": "", "notes": [], "command": "true", "timeout_s": None,
            "timeout_slack_s": 0, "stage_patience_s": 5, "upload_patience_s": 20, "flush_s": 0.05, "grace_s": 1,
            "max_log_bytes": 1 << 20, **plan,
        }  # fmt: skip
        self.programs = ""
        """Folder before the image's own in PATH, with a colon."""
        self._running: list[subprocess.Popen[bytes]] = []

    def stage(self) -> int:
        return self._runner("stage").wait(30)

    def start_collect(self) -> subprocess.Popen[bytes]:
        collect = self._runner("collect")
        self.wait_for("ready")
        return collect

    def start_main(self) -> subprocess.Popen[bytes]:
        path = f"{self.programs}{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
        env = {"PATH": path, "FERRY_JOB": str(self.folder), "HOME": os.environ["HOME"]}
        return self._start(["sh", str(MAIN)], env, "main")

    def run(self) -> int:
        assert self.stage() == 0, (self.said("stage"), self.state)
        collect = self.start_collect()
        code = self.start_main().wait(60)
        collect.terminate()
        assert collect.wait(10) == 0, self.said("collect")
        return code

    @property
    def state(self) -> dict[str, Any]:
        """What the gateway has heard last."""
        params = {"uid": self.plan["uid"], "attempt": self.plan["attempt"]}
        return dict(self.gateway.agent.get("/admin/v1/states", params=params).json()[str(self.index)])

    def logs(self) -> dict[str, bytes]:
        """What the server has got of its logs."""
        self.settle()
        return self.gateway.server.logs()

    def settle(self) -> None:
        """Until the gateway has passed everything on."""
        until = time.monotonic() + 10
        parts = self.gateway.gateway._parts
        while parts is not None and parts.journal.streams_waiting():
            assert time.monotonic() < until
            time.sleep(0.02)

    def wait_for(self, name: str) -> None:
        until = time.monotonic() + 20
        while not (self.folder / name).exists():
            assert time.monotonic() < until, f"{name} did not come"
            time.sleep(0.01)

    def said(self, name: str) -> str:
        return (self.top / f"{name}.log").read_text()

    def close(self) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)

    def _runner(self, verb: str) -> subprocess.Popen[bytes]:
        (self.top / "job.json").write_text(json.dumps(self.plan))
        argv = [sys.executable, "-m", "ferryml.runner", verb, "--plan", str(self.top / "job.json")]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where uv is
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(SOURCES), "JOB_COMPLETION_INDEX": str(self.index)}
        return self._start([*argv, "--folder", str(self.folder)], env, verb)

    def _start(self, argv: list[str], env: dict[str, str], name: str) -> subprocess.Popen[bytes]:
        with open(self.top / f"{name}.log", "ab") as log:
            process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, start_new_session=True)
        self._running.append(process)
        return process
