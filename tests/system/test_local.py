"""`--local` as a new user types it: no server, no workspace, a script that fails and is mended, and nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ferryml.cli.local import LocalState, started_at

pytestmark = pytest.mark.timeout(600)
Typed = Callable[..., subprocess.CompletedProcess[str]]
FILES = {
    "endpoint.yml": "name: churn\ncompute: azureml:far-away\nauth_mode: key\n",
    "blue.yml": """\
type: kubernetes
name: blue
endpoint_name: churn
model: {path: ./model/n.txt}
code_configuration: {code: ./score, scoring_script: score.py}
environment: {image: "python:3", conda_file: {dependencies: [python=3.11, pip]}}
instance_count: 2
request_settings: {request_timeout_ms: 30000}
""",
    "model/n.txt": "7",
    "score/score.py": "",
    "r.json": "[1, 2]",
}
GOOD = """\
import json, os, pathlib
def init():
    global n
    n = int(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("n.txt")).read_text())
    print("n is", n)
def run(raw):
    return [n * x for x in json.loads(raw)]
"""
BAD = "def init():\n    raise RuntimeError('no weights here')\ndef run(raw):\n    return raw\n"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[LocalState]:
    """The private server's folder; whatever was started there is ended at the end."""
    state = LocalState(tmp_path / "home" / ".ferry" / "local")
    yield state
    pid = state.running()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def typed(tmp_path: Path, home: LocalState) -> Typed:
    """`ferry` in a folder of its own, with settings of a real server around that must not matter."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("FERRY_")}
    environ = {**keep, "HOME": str(tmp_path / "home"), "FERRY_URL": "http://127.0.0.1:9", "FERRY_TOKEN": "none"}
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "ferryml.cli.main", *args]
        return subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240, check=False)

    return run


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_from_a_failing_script_to_an_answer_and_nothing_left(typed: Typed, home: LocalState, tmp_path: Path) -> None:
    script = tmp_path / "score" / "score.py"
    script.write_text(BAD)
    made = typed(
        "online-endpoint", "create", "--local", "-f", "endpoint.yml", "--query", "provisioning_state", "-o", "tsv"
    )
    assert good(made) == "Succeeded"
    pid = home.running()
    assert pid is not None

    failed = typed("online-deployment", "create", "--local", "-f", "blue.yml")
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert "RuntimeError: no weights here" in failed.stderr
    assert "[UserScriptInitFailed]" in failed.stderr
    logs = good(typed("online-deployment", "get-logs", "--local", "-n", "blue", "-e", "churn"))
    assert "no weights here" in logs

    script.write_text(GOOD)
    mended = typed(
        "online-deployment", "create", "--local", "-f", "blue.yml", "--query", "[provisioning_state, traffic]"
    )
    assert json.loads(good(mended)) == ["Succeeded", 100]
    assert json.loads(good(typed("online-endpoint", "invoke", "--local", "-n", "churn", "-r", "r.json"))) == [7, 14]
    assert "n is 7" in good(typed("online-deployment", "get-logs", "--local", "-n", "blue", "-e", "churn"))
    uri = good(typed("online-endpoint", "show", "--local", "-n", "churn", "--query", "scoring_uri", "-o", "tsv"))
    assert uri.startswith("http://127.0.0.1:")
    assert httpx.post(uri, json=[3], trust_env=False).json() == [21]  # as az has it: no key
    assert httpx.post(uri, json=[3], headers={"Origin": "http://page.example"}, trust_env=False).status_code == 401
    assert good(typed("online-endpoint", "list", "--local", "--query", "[].name", "-o", "tsv")) == "churn"
    listed = typed("online-deployment", "list", "--local", "-e", "churn", "--query", "[].[name, instance_count]")
    assert json.loads(good(listed)) == [["blue", 1]]

    second = typed("online-deployment", "create", "--local", "-f", "blue.yml", "--name", "green")
    assert (second.returncode, "one at a time" in second.stderr) == (1, True)
    script.write_text(BAD)
    assert typed("online-deployment", "update", "--local", "-f", "blue.yml").returncode == 1
    assert httpx.post(uri, json=[3], trust_env=False).json() == [21]  # what serves is not touched
    script.write_text(GOOD)
    good(typed("online-deployment", "update", "--local", "-f", "blue.yml"))

    good(typed("down", "--local"))
    assert started_at(pid) is None
    again = typed("online-endpoint", "invoke", "--local", "-n", "churn", "-r", "r.json")
    assert json.loads(good(again)) == [7, 14]
    good(typed("online-deployment", "delete", "--local", "-n", "blue", "-e", "churn", "-y"))
    good(typed("online-endpoint", "create", "--local", "-f", "endpoint.yml", "--set", "description=again"))
    pid = home.running()
    assert pid is not None
    assert good(typed("online-endpoint", "delete", "--local", "-n", "churn", "-y")) == ""
    assert (started_at(pid), home.running()) == (None, None)
    assert good(typed("online-endpoint", "list", "--local")) == "[]"
