import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ferryml
from ferryml.runner.main import main

RUNNER = Path(ferryml.__file__).parent / "runner"


@pytest.fixture
def folder(tmp_path):
    plan = {
        "overlay": "", "gateway": "http://127.0.0.1:9", "fetch": [], "links": [], "copies": [], "ranks": 1,
        "folders": ["code/logs"],
        "roots": [], "command": "echo hi", "env": {"PATH": "/usr/bin:/bin"}, "outputs": [], "log_prefix": "",
        "timeout_s": None, "timeout_slack_s": 1, "stage_patience_s": 0.2, "upload_patience_s": 0.2, "flush_s": 0.05,
        "grace_s": 1, "max_log_bytes": 1000, "notes": ["said once"],
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(plan))
    (tmp_path / "token").write_text("t")
    return tmp_path


def run(folder, **changes):
    plan = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**plan, **changes}))
    done = subprocess.run(
        [sys.executable, "-I", "-S", RUNNER, "--folder", folder], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "state.json").read_text())


def test_wrong_arguments_are_said(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_a_gateway_that_never_answers_ends_as_a_failed_upload(folder):
    state = run(folder)
    assert (state["phase"], state["exit_code"], state["code"]) == ("done", 0, "UploadFailed")
    assert state["notes"][0] == "said once"
    assert (folder / "std_log.txt").read_text() == "hi\n"


def test_the_users_own_failure_is_not_hidden_by_a_failed_upload(folder):
    state = run(folder, command="echo Error: why; exit 4")
    assert (state["exit_code"], state["code"], state["error_lines"]) == (4, "", ["Error: why"])
    assert any("could not be handed over" in note for note in state["notes"])


def test_staging_that_never_ends_is_the_machines_fault(folder):
    digest = "sha256:" + "a" * 64
    item = {"what": "code", "kind": "tree", "digest": digest, "to": "code", "read_only": False}
    state = run(folder, fetch=[item])
    assert (state["code"], state["machine_fault"], state["exit_code"]) == ("StagingFailed", True, None)


def test_an_order_to_end_that_came_first_is_obeyed(folder):
    (folder / "kill.json").write_text('{"grace_s": 0}')
    state = run(
        folder, fetch=[{"what": "c", "kind": "tree", "digest": "sha256:" + "a" * 64, "to": "c", "read_only": False}]
    )
    assert (state["phase"], state["message"]) == ("done", "stopped before the program started")
    assert state["outputs_done"]


def test_a_second_runner_of_one_folder_leaves_at_once(folder):
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-I", "-S", RUNNER, "--folder", folder], timeout=30)
    assert done.returncode == 0
    assert not (folder / "state.json").exists()


def test_a_finished_attempt_is_never_run_again(folder):
    (folder / "state.json").write_text(json.dumps({"phase": "done", "exit_code": 7}))
    assert run(folder)["exit_code"] == 7
    assert not (folder / "std_log.txt").exists()


def test_a_program_whose_runner_was_lost_is_never_run_again(folder):
    (folder / "state.json").write_text(json.dumps({"phase": "running"}))
    state = run(folder)
    assert (state["phase"], state["machine_fault"]) == ("done", True)


OTHERS = [path for path in Path.home().glob(".pyenv/versions/3.*/bin/python") if not path.parts[-3].startswith("3.6")]


@pytest.mark.parametrize("python", [sys.executable, *sorted(map(str, OTHERS))])
def test_other_pythons_can_run_it(python, folder):
    """As many as this machine has."""
    done = subprocess.run([python, "-I", "-S", RUNNER, "--folder", folder], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "state.json").read_text())["exit_code"] == 0


def test_nothing_newer_than_python_3_8_is_needed():
    """The runner goes into users' images, whose Python may be old."""
    argv = [Path(sys.executable).with_name("vermin"), "--target=3.8-", "--violations", "--no-tips", str(RUNNER)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
