"""The README's way, typed: up, job, endpoint, prediction, trace, apply, down; every program a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferryml.cli.local import started_at

Typed = Callable[..., subprocess.CompletedProcess[str]]
LIMIT_S = 150

JOB = """\
command: |
  python main.py --n ${{inputs.n}} --out ${{outputs.model}}
code: ./src
environment: {conda_file: {dependencies: [python=3.11]}}
inputs: {n: 3}
outputs: {model: {type: custom_model, name: small}}
"""
MAIN = """\
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int)
parser.add_argument("--out")
args = parser.parse_args()
print("n is", args.n, flush=True)
if args.n < 0:
    raise SystemExit("n is negative")
pathlib.Path(args.out, "n.txt").write_text(str(args.n))
"""
SCORE = """\
import json, os, pathlib
def init():
    global n
    n = int(next(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]).rglob("n.txt")).read_text())
def run(raw):
    return [n * x for x in json.loads(raw)]
"""
ENDPOINT = "name: times\ncompute: azureml:local\nauth_mode: Key\n"
DEPLOYMENT = """\
name: blue
type: kubernetes
endpoint_name: times
model: azureml:small@latest
code_configuration: {code: ./score, scoring_script: score.py}
environment: {conda_file: {dependencies: [python=3.11, pip: [azureml-inference-server-http]]}}
request_settings: {request_timeout_ms: 30000}
"""


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    """`ferry` as a person types it in an empty folder; whatever was started is stopped at the end."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith("FERRY_")}
    environ = {**keep, "FERRY_CONFIG": str(tmp_path / "config.yaml")}
    here = tmp_path / "here"
    here.mkdir()

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "ferryml.cli.main", *args]
        return subprocess.run(argv, cwd=here, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    run.here = here  # type: ignore[attr-defined] # for the test
    yield run
    run("down")
    record = here / ".ferry" / "up.json"
    if record.exists():
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.timeout(600)
def test_from_nothing_to_a_traced_prediction(typed: Typed) -> None:
    here: Path = typed.here  # type: ignore[attr-defined] # set by the fixture
    write(here, {"job.yml": JOB, "src/main.py": MAIN, "score/score.py": SCORE, "e.yml": ENDPOINT, "d.yml": DEPLOYMENT})

    url = good(typed("up", "--port", "0"))
    assert url.startswith("http://127.0.0.1:")
    second = typed("up")
    assert (second.returncode, url in second.stderr) == (1, True)
    assert json.loads(good(typed("status")))["sites"] == {"local": "Online"}

    streamed = typed("job", "create", "--f", "job.yml", "--stream", "--set", "inputs.n=7")
    assert good(streamed) == "n is 7"
    name = good(typed("job", "list", "--query", "[0].name", "-o", "tsv"))
    assert good(typed("job", "show", "-n", name, "--query", "status", "-o", "tsv")) == "Completed"
    good(typed("job", "download", "-n", name, "--output-name", "model", "-p", "out"))
    assert (here / "out" / "named-outputs" / "model" / "n.txt").read_text() == "7"
    failed = typed("job", "create", "-f", "job.yml", "-s", "--set", "inputs.n=-1", "-n", "bad")
    assert (failed.returncode, "n is negative" in failed.stderr) == (1, True)
    assert "UserCodeFailed" in good(typed("job", "show", "-n", "bad", "--explain"))

    good(typed("online-endpoint", "create", "-f", "e.yml"))
    made = typed("online-deployment", "create", "-f", "d.yml", "--all-traffic", "--query", "provisioning_state", "-o",
                 "tsv")  # fmt: skip
    assert good(made) == "Succeeded"
    write(here, {"r.json": "[1, 2]"})
    answer = typed("online-endpoint", "invoke", "-n", "times", "-r", "r.json", "--query", "[1]")
    assert good(answer) == "14"
    request = answer.stderr.split("request id: ")[1].split()[0]
    told = good(typed("trace", request))
    assert "small:1" in told
    assert f"job          {name}" in told

    unchanged = good(typed("apply", "-f", "d.yml", "--dry-run"))
    assert unchanged == "= online-deployment blue: unchanged"
    good(typed("online-endpoint", "update", "-n", "times", "--traffic", "blue=0"))
    none = typed("online-endpoint", "invoke", "-n", "times", "-r", "r.json")
    assert (none.returncode, "NoValidDeployment" in none.stderr) == (1, True)
    write(here, {"e.yml": f"{ENDPOINT}traffic: {{blue: 40, green: 60}}\n",
                 "green.yml": DEPLOYMENT.replace("blue", "green")})  # fmt: skip
    applied = good(typed("apply", "-f", ".", "--query", "[?kind!='job'].[name,action]", "-o", "tsv"))
    assert applied.splitlines() == ["times\tupdate", "blue\tunchanged", "green\tcreate"]
    shares = good(typed("online-endpoint", "show", "-n", "times", "--query", "traffic.[blue,green]", "-o", "tsv"))
    assert shares.split() == ["40", "60"]
    gone = typed("online-endpoint", "delete", "-n", "times", "-y")
    assert (gone.returncode, gone.stdout) == (0, "")

    pid = json.loads(good(typed("status")))["pid"]
    good(typed("down"))
    assert started_at(pid) is None
    assert typed("down").returncode == 1
