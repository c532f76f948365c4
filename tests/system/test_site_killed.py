"""kill -9 on the site's process, again and again, while a real job logs: it is adopted, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures_site import Programs, wait_until

TRAIN = """
import os, sys, time, mlflow
stage, steps = sys.argv[1], int(sys.argv[2])
with mlflow.start_run() as run:
    for step in range(steps):
        mlflow.log_metric("loss", step, step=step)
        print("line", step, flush=True)
        open(os.path.join(stage, "step"), "w").write(str(step))
        time.sleep(0.02)
os.makedirs("outputs", exist_ok=True)
open("outputs/model.bin", "w").write("weights")
"""


class Agent:
    """`ferry agent run` as a program of its own."""

    def __init__(self, folder: Path, server: str, token: str) -> None:
        self._folder, self._server, self._token = folder, server, token
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ferry = Path(sys.executable).with_name("ferry")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FERRY_")}
        settings = {
            "FERRY_SITE_NAME": "local", "FERRY_SITE_STATE_DIR": str(self._folder),
            "FERRY_SITE_SERVER_URL": self._server,
            "FERRY_SITE_RETRY_MIN_S": "0.05", "FERRY_SITE_RETRY_MAX_S": "0.5", "FERRY_SITE_CANCEL_GRACE_S": "1",
        }  # fmt: skip
        log = open(self._folder.parent / "agent.log", "ab")  # noqa: SIM115  the child's
        command = [ferry, "agent", "run", *(["--token", self._token] if self._token else [])]
        self.process = subprocess.Popen(command, env={**kept, **settings}, stdout=log, stderr=log)
        log.close()
        self._token = ""

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture
def agent(programs: Programs, tmp_path: Path) -> Iterator[Agent]:
    token = programs.api.post("/sites", json={"name": "local"}).json()["join_token"]
    made = Agent(tmp_path / "site", programs.server.url, token)
    made.start()
    wait_until((tmp_path / "site" / "enrolled.json").exists, 30, lambda: (tmp_path / "agent.log").read_text())
    yield made
    made.end()


@pytest.mark.timeout(240)
def test_killed_again_and_again(programs: Programs, agent: Agent, tmp_path: Path) -> None:
    programs.attach()
    stage, steps = tmp_path / "stage", 150
    stage.mkdir()
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    programs.submit("tough", f"{sys.executable} {script} {stage} {steps}")
    for kill in range(3):
        reached = 15 + 30 * kill
        wait_until(lambda reached=reached: step(stage) >= reached, 60, lambda: (tmp_path / "agent.log").read_text())
        agent.kill()
        agent.start()
    job = programs.settles("tough", within_s=90)
    assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1), job["ferry"]
    assert programs.log("tough").count("line ") == steps
    assert job["ferry"]["outputs"]["default"]["tree"]["size"] == len("weights")
    with httpx.Client(base_url=f"{programs.server.url}/mlflow/api/2.0/mlflow", headers=programs.api.headers) as mlflow:
        asked = {"run_id": job["ferry"]["mlflow_run_id"], "metric_key": "loss"}
        history = mlflow.get("/metrics/get-history", params=asked).json()["metrics"]
    assert sorted(point.get("step", 0) for point in history) == list(range(steps))


def step(stage: Path) -> int:
    try:
        return int((stage / "step").read_text() or 0)
    except (OSError, ValueError):
        return -1
