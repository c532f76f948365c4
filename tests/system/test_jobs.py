"""Jobs through a real server, agent, gateway and runner: what is promised of a life, of ends, and of faults."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ferryml.backends.local.processes import start_mark
from ferryml.bootstrap.kept_logs import kept_logs
from ferryml.settings import ClusterSettings
from fixtures_site import Programs, wait_until

pytestmark = pytest.mark.timeout(120)


def upload(programs: Programs, files: dict[str, bytes]) -> str:
    """A folder as `content:tree:...`."""
    entries = []
    for path, data in sorted(files.items()):
        digest = put(programs, data)
        entries.append({"path": path, "digest": digest, "size": len(data), "executable": False})
    manifest = json.dumps({"entries": entries}, separators=(",", ":")).encode()
    return f"content:tree:{put(programs, manifest)}:"


def put(programs: Programs, data: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    said = programs.api.put(f"/workspaces/default/artifacts/blobs/{digest}", content=data)
    assert said.status_code in (200, 201), said.text
    return digest


def output(programs: Programs, job: dict[str, Any], name: str) -> dict[str, bytes]:
    """Files of a job's output as the server holds them."""
    assert name in job["ferry"]["outputs"], json.dumps(job["ferry"])
    digest = job["ferry"]["outputs"][name]["tree"]["digest"]
    entries = programs.api.get(f"/workspaces/default/artifacts/blobs/{digest}").json()["entries"]
    blobs = "/workspaces/default/artifacts/blobs/"
    return {entry["path"]: programs.api.get(blobs + entry["digest"]).content for entry in entries}


def state_of(site: Any, name: str, attempt: int = 1) -> dict[str, Any]:
    folder = next(Path(site.settings.state_dir).resolve().glob(f"jobs/job.default.{name}-*")) / str(attempt)
    path = folder / "state.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def site(programs: Programs) -> Any:
    made = programs.join()
    programs.attach()
    return made


def test_one_jobs_outputs_are_the_next_ones_inputs(programs: Programs, site: Any) -> None:
    code = upload(programs, {"make.py": b"import six, sys; open(sys.argv[1], 'w').write(six.__version__)"})
    environment = {"image": "python:3", "conda_file": {"dependencies": [{"pip": ["six==1.16.0"]}]}}
    outputs = {"file": {"type": "uri_file"}, "folder": {}}
    command = r"python make.py ${{outputs.file}}; printf '\xff\n'; echo ${{name}} > ${{outputs.folder}}/name"
    programs.submit("first", command, code=code, environment=environment, outputs=outputs)
    first = programs.settles("first")
    assert first["status"] == "Completed", first["ferry"]
    assert output(programs, first, "folder") == {"name": b"first\n"}
    raw = programs.api.get(
        "/workspaces/default/jobs/first/logs/content", params={"path": "user_logs/std_log.txt"}
    ).content
    assert raw == b"\xff\n"
    inputs = {
        "file": {"type": "uri_file", "path": "azureml://jobs/first/outputs/file/paths/"},
        "folder": {"type": "uri_folder", "path": "azureml://jobs/first/outputs/folder/paths/", "mode": "download"},
    }
    programs.submit("second", "cat ${{inputs.file}} ${{inputs.folder}}/name", inputs=inputs)
    assert programs.settles("second")["status"] == "Completed"
    assert programs.log("second") == "1.16.0first\n"


def test_a_runner_that_is_killed_is_tried_again_with_the_outputs_so_far(programs: Programs, site: Any) -> None:
    command = "echo run >> outputs/steps; echo said; [ $(wc -l < outputs/steps) = 2 ] || sleep 100"
    programs.submit("killed", command)
    programs.settles("killed", "Running")
    wait_until(lambda: programs.log("killed") == "said\n", 20)
    state = state_of(site, "killed")
    os.kill(state["runner"]["pid"], signal.SIGKILL)
    job = programs.settles("killed")
    assert job["status"] == "Completed", job["ferry"]
    assert job["ferry"]["attempt"] == 2
    assert output(programs, job, "default") == {"outputs/steps": b"run\nrun\n"}
    assert programs.log("killed", "retry-001/user_logs/std_log.txt") == "said\n"
    assert not start_mark(state["main"]["pid"])


def test_work_goes_on_while_the_agent_is_away(programs: Programs, site: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    programs.submit("away", f"echo before; until [ -e {gate} ]; do sleep 0.05; done; echo after; exit 3")
    programs.settles("away", "Running")
    before = state_of(site, "away")
    programs.leave(site, stop_work=False)
    gate.touch()
    wait_until(lambda: state_of(site, "away")["phase"] == "collecting", 20)
    assert state_of(site, "away")["main"] == before["main"]
    programs.join()
    job = programs.settles("away")
    assert (job["status"], job["ferry"]["exit_code"], job["ferry"]["attempt"]) == ("Failed", 3, 1)
    assert programs.log("away") == "before\nafter\n"


def test_cancel_ends_the_whole_family_and_keeps_what_was_written(programs: Programs, site: Any, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    family = f"setsid sleep 300 & echo $! >> {pids}; (trap '' TERM; sleep 301) & echo $! >> {pids}"
    programs.submit("family", f"echo kept > outputs/kept; {family}; echo $$ >> {pids}; wait")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 3, 20)
    assert programs.api.post("/workspaces/default/jobs/family/cancel").status_code in (200, 202)
    job = programs.settles("family")
    assert job["status"] == "Canceled", job["ferry"]
    assert [pid for pid in pids.read_text().split() if start_mark(int(pid))] == []
    assert output(programs, job, "default") == {"outputs/kept": b"kept\n"}


def test_the_time_limit_cancels_and_says_so(programs: Programs, site: Any) -> None:
    programs.submit("slow", "sleep 300", limits={"timeout": 1})
    job = programs.settles("slow")
    assert (job["status"], job["ferry"]["code"]) == ("Canceled", "TimedOut")


def test_an_environment_that_cannot_be_made_names_the_package(programs: Programs, site: Any) -> None:
    wishes = {"image": "x", "conda_file": {"dependencies": [{"pip": ["ferryml-no-such-package-xyz"]}]}}
    programs.submit("broken", "true", environment=wishes)
    job = programs.settles("broken")
    assert (job["status"], job["ferry"]["code"]) == ("Failed", "EnvironmentFailed")
    assert "ferryml-no-such-package-xyz" in job["ferry"]["reason"]


def test_a_site_keeps_its_logs(programs: Programs) -> None:
    kept = programs.join(log_upload="none")
    programs.attach()
    programs.submit("quiet", "echo figures of patients; exit 3")
    job = programs.settles("quiet")
    assert (job["status"], job["ferry"]["logs_stay"]) == ("Failed", "on site local"), job["ferry"]
    assert "patients" not in str(programs.job("quiet")["ferry"] | {"order": ""})
    assert programs.api.get("/workspaces/default/jobs/quiet/logs").json() == []
    there = kept_logs(kept.settings, ClusterSettings())
    assert {each["path"] for each in there.list("default", "quiet")} == {"user_logs/std_log.txt"}
    assert b"".join(there.read("default", "quiet", "user_logs/std_log.txt")) == b"figures of patients\n"
