import json
import os
import stat
import subprocess

import pytest

from ferryml.runner.shell import chosen, env_text, settings_text, work_of, write_shell

PLAN = {"command": "true", "env": {}, "timeout_s": None, "timeout_slack_s": 0, "upload_patience_s": 60, "grace_s": 10}


def settings(index=0, **plan):
    text = settings_text({**PLAN, **plan}, "/ferry/job", index)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and "{" not in line)


def test_numbers_are_whole_and_limits_have_an_end():
    found = settings(timeout_s=1.5, timeout_slack_s=1, grace_s=0.4, upload_patience_s=1e12)
    assert (found["timeout"], found["grace"], found["patience"]) == ("2", "0", str(10 * 365 * 86400))
    assert settings()["timeout"] == "''"


def test_ranks_count_through_the_pods():
    assert (settings(2, ranks=4)["ranks"], settings(2, ranks=4)["first_rank"]) == ("4", "8")


def test_only_the_first_pod_of_mpi_runs_the_command():
    mpi = {"hosts": ["a-0", "a-1"]}
    assert (settings(0, mpi=mpi, ranks=2)["role"], settings(0, mpi=mpi, ranks=2)["ranks"]) == ("''", "1")
    assert (settings(1, mpi=mpi)["role"], settings(1, mpi=mpi)["first_rank"]) == ("worker", "1")


def test_each_pod_has_its_own(tmp_path):
    plan = {**PLAN, "commands": [None, "echo other"], "rank_env": [{"A": "0"}, {"A": "1"}]}
    write_shell(plan, str(tmp_path), 1)
    assert (tmp_path / "command.sh").read_text() == "echo other\n"
    assert "export A=1" in (tmp_path / "env.sh").read_text()
    assert chosen(plan, "commands", 5) is None
    assert stat.S_ISFIFO(os.stat(tmp_path / "gate").st_mode)


@pytest.mark.parametrize(("image", "kept"), [({}, "C.UTF-8"), ({"LANG": "de_DE.UTF-8"}, "de_DE.UTF-8")])
def test_defaults_give_way_to_the_image(tmp_path, image, kept):
    script = tmp_path / "env.sh"
    script.write_text(env_text({**PLAN, "env_defaults": {"LANG": "C.UTF-8"}}, 0) + 'echo "$LANG"\n')
    done = subprocess.run(["sh", script], env={"PATH": os.environ["PATH"], **image}, capture_output=True, text=True)
    assert done.stdout == f"{kept}\n"


@pytest.mark.parametrize("value", ["'; rm -rf /; '", "$(id)`id`", "a\\nb\\\\", "tab\tand\nline", "ü€", ""])
def test_no_value_is_taken_for_code(tmp_path, value):
    script = tmp_path / "env.sh"
    show = "ferry_exec python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'\n"
    script.write_text(env_text({**PLAN, "env": {"A": value, "b-c": value}}, 0) + show)
    done = subprocess.run(["sh", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found["A"], found["b-c"]) == (value, value)


def test_the_code_is_where_the_program_works():
    assert work_of({}, "/ferry/job") == "/ferry/job/code"
    assert work_of({"work": "/data"}, "/ferry/job") == "/data"
