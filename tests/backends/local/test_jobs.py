import json
import os
import signal
import stat
from pathlib import Path

import psutil

from ferryml.backends.local.processes import start_mark
from ferryml.domain.orders import DatastorePath

HELLO = "echo hello; echo oops >&2; mkdir -p outputs/deep; echo 42 > outputs/deep/answer.txt; echo line > logs/mine.log"


def test_a_command_runs_and_everything_arrives(launch, ended, door):
    launch(HELLO)
    seen = ended()
    assert (seen.state, seen.exit_code, seen.code) == ("exited", 0, "")
    assert seen.outputs_done
    assert seen.started_at <= seen.ended_at
    assert door.logs == {"user_logs/std_log.txt": b"hello\noops\n", "logs/mine.log": b"line\n"}
    assert door.content("default") == {"outputs/deep/answer.txt": b"42\n", "logs/mine.log": b"line\n"}
    assert door.complete["exit_code"] == 0


def test_the_program_knows_where_and_who_it_is(launch, ended, door):
    launch(
        "env; pwd; command -v python",
        environment_variables={"MINE": "x ${{inputs.rate}}", "AZUREML_RUN_ID": "forged"},
        inputs={"rate": {"type": "number", "literal": "0.5"}},
    )
    ended()
    said = door.logs["user_logs/std_log.txt"].decode()
    env = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert env["MINE"] == "x 0.5"
    assert env["AZUREML_RUN_ID"] == env["AZUREML_ROOT_RUN_ID"] == "j"
    assert env["AZUREML_EXPERIMENT_NAME"] == env["MLFLOW_EXPERIMENT_NAME"] == "exp"
    assert env["MLFLOW_TRACKING_URI"] == f"{door.url}/mlflow"
    assert (env["MLFLOW_RUN_ID"], env["MLFLOW_TRACKING_TOKEN"]) == ("r1", "t0ken")
    assert said.splitlines()[-1].endswith("/bin/python")
    assert said.splitlines()[-1] == f"{env['VIRTUAL_ENV']}/bin/python"


def test_secrets_of_the_agent_do_not_reach_the_program(launch, ended, door, monkeypatch):
    monkeypatch.setenv("FERRY_TOKEN", "sesame")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    launch("env")
    ended()
    assert b"sesame" not in door.logs["user_logs/std_log.txt"]


def test_code_and_inputs_are_staged(launch, ended, door, orders, tmp_path):
    data = tmp_path / "store"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "a.csv").write_text("1,2")
    place = DatastorePath(datastore="d", kind="local", root=str(data), path="sub")
    launch(
        "cat ${{inputs.tree}}/x/y.txt ${{inputs.file}} ${{inputs.place}}/a.csv; bash run.sh; echo ${{inputs.direct}}",
        code=door.tree({"run.sh": b"echo from code", "pkg/m.py": b""}),
        inputs={
            "tree": orders.Input(type="uri_folder", tree=door.tree({"x/y.txt": b"tree ", "z": b"tree "})),
            "file": orders.Input(
                type="uri_file", mode="download", tree=orders.Tree(digest=door.add(b"file "), kind="file", name="f.txt")
            ),
            "place": orders.Input(type="uri_folder", place=place),
            "direct": orders.Input(type="uri_file", mode="direct", uri="https://x/y.csv"),
        },
    )
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"tree file 1,2from code\nhttps://x/y.csv\n"


def test_named_outputs_exist_before_the_program_starts(launch, ended, door, orders, tmp_path):
    place = DatastorePath(datastore="d", kind="local", root=str(tmp_path), path="kept/here")
    launch(
        "echo f > ${{outputs.folder}}/in.txt; echo g > ${{outputs.file}}; echo h > ${{outputs.placed}}/out.txt",
        outputs={
            "folder": orders.Output(),
            "file": orders.Output(type="uri_file"),
            "placed": orders.Output(place=place),
            "empty": orders.Output(),
        },
    )
    seen = ended()
    assert seen.exit_code == 0
    assert door.content("folder") == {"in.txt": b"f\n"}
    assert door.content("file") == {"file": b"g\n"}
    assert (tmp_path / "kept/here/out.txt").read_text() == "h\n"
    assert set(door.outputs) == {"folder", "file"}
    assert "output empty is empty" in seen.notes


def test_a_failure_says_its_first_lines(launch, ended, door):
    launch("echo starting; python -c 'import nothing_such'")
    seen = ended()
    assert (seen.state, seen.exit_code, seen.machine_fault) == ("exited", 1, False)
    assert seen.error_lines[0] == "ModuleNotFoundError: No module named 'nothing_such'"
    assert door.complete["exit_code"] == 1


def test_what_is_not_text_passes_as_it_is(launch, ended, door):
    launch(r"printf '\xff\xfe\x00 caf\xe9\n'; printf x > $'outputs/caf\xe9'")
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"\xff\xfe\x00 caf\xe9\n"
    assert list(door.content("default").values()) == [b"x"]


def test_logs_arrive_while_it_runs(launch, ended, jobs, door, until, tmp_path):
    gate = tmp_path / "gate"
    launch(f"echo first; until [ -e {gate} ]; do sleep 0.02; done; echo second")
    until(lambda: door.logs.get("user_logs/std_log.txt"), lambda log: log == b"first\n", 10)
    assert jobs.observe("job.ws.j", 1).state == "running"
    gate.touch()
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"first\nsecond\n"


def test_an_attempt_that_may_not_write_any_more_ends_itself(launch, jobs, door, until):
    launch("while :; do echo hi; sleep 0.02; done")
    until(lambda: door.logs, bool, 10)
    door.token = "of a newer attempt"
    seen = until(lambda: jobs.observe("job.ws.j", 1), lambda seen: not seen.live, 10)
    assert seen.exit_code == 143
    assert "StaleAttempt" in seen.message


def test_cancel_ends_grandchildren_too(launch, jobs, until, tmp_path):
    pids = tmp_path / "pids"
    launch(
        f"setsid sleep 61 & echo $! >> {pids}; (trap '' TERM; while :; do sleep 0.1; done) & echo $! >> {pids}; "
        f"echo $$ >> {pids}; wait"
    )
    lines = until(lambda: pids.read_text().split() if pids.exists() else [], lambda found: len(found) == 3, 10)
    jobs.kill("job.ws.j", 1, 0.2)
    jobs.kill("job.ws.j", 1, 0.2)
    seen = until(lambda: jobs.observe("job.ws.j", 1), lambda seen: seen.state == "exited" and seen.outputs_done, 15)
    assert seen.exit_code == 143
    assert [pid for pid in map(int, lines) if start_mark(pid)] == []


def test_nothing_is_left_behind_by_a_program_that_ended(launch, ended, tmp_path):
    pids = tmp_path / "pids"
    launch(f"setsid sleep 62 & echo $! > {pids}")
    assert ended().exit_code == 0
    assert not start_mark(int(pids.read_text()))


def test_a_retry_has_the_outputs_so_far_and_logs_apart(launch, ended, jobs, door, until, orders):
    command = "for place in ${{outputs.model}} outputs; do echo run >> $place/steps; done; "
    command += "[ -e outputs/done ] || { touch outputs/done; sleep 64; }"
    launch(command, outputs={"model": orders.Output()})
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    until(lambda: list(Path(jobs.root).glob("jobs/*/1/code/outputs/done")), bool, 10)
    launch(command, attempt=2, outputs={"model": orders.Output()})
    assert ended(attempt=2).exit_code == 0
    assert door.content("model") == {"steps": b"run\nrun\n"}
    assert door.content("default")["outputs/steps"] == b"run\nrun\n"
    assert "retry-001/user_logs/std_log.txt" in door.logs
    assert jobs.observe("job.ws.j", 1).state == "lost"


def test_an_end_that_cannot_be_written_is_seen_all_the_same(launch, jobs, until, caplog):
    launch("sleep 66")
    seen = until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    assert seen == "running"
    [state] = Path(jobs.root).glob("jobs/*/1/state.json")
    os.kill(json.loads(state.read_bytes())["runner"]["pid"], signal.SIGKILL)
    # the disk is full: nothing new can be written beside the state
    state.with_name("state.json.new").mkdir()
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "lost", 10)
    assert "is not written" in caplog.text
    assert jobs.observe("job.ws.j", 1).machine_fault


def test_launching_twice_starts_once(launch, ended, door, tmp_path):
    launch(f"echo x >> {tmp_path}/count")
    launch(f"echo x >> {tmp_path}/count")
    ended()
    launch(f"echo x >> {tmp_path}/count")
    assert (tmp_path / "count").read_text() == "x\n"


def test_links_in_outputs_do_not_carry_strangers_out(launch, ended, door, tmp_path):
    (tmp_path / "secret").write_text("secret")
    launch(
        f"ln -s {tmp_path}/secret outputs/s; ln -s {tmp_path} outputs/d; echo ok > outputs/ok; ln -s ok outputs/same"
    )
    seen = ended()
    assert door.content("default") == {"outputs/ok": b"ok\n", "outputs/same": b"ok\n"}
    assert any("outputs/s " in note for note in seen.notes)
    assert any("d was left out" in note for note in seen.notes)


def test_the_token_is_for_the_owners_eyes_only(launch, ended, folder_of):
    launch("true")
    ended()
    assert stat.S_IMODE((folder_of() / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder_of() / "job.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder_of().stat().st_mode) == 0o700
    assert "t0ken" not in (folder_of() / "job.json").read_text()


def test_the_time_limit_holds_without_an_agent(launch, ended, folder_of, jobs, until, monkeypatch):
    monkeypatch.setattr("ferryml.compile.plan.TIMEOUT_SLACK_S", 0.2)
    launch("sleep 65", timeout_s=0)
    seen = ended()
    assert (seen.code, seen.exit_code) == ("TimedOut", 143)


def test_clean_leaves_nothing(launch, jobs, until):
    launch("sleep 66")
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    jobs.clean("job.ws.j")
    assert jobs.list() == []
    assert jobs.observe("job.ws.j", 1).state == "absent"
    assert not [p for p in psutil.process_iter(["cmdline"]) if "sleep 66" in " ".join(p.info["cmdline"] or [])]
    jobs.clean("job.ws.j")


def test_hostile_uids_stay_in_their_folder(jobs, launch, ended):
    launch("true", uid="job.ws.../../../x")
    ended("job.ws.../../../x")
    assert [uid for uid, _ in jobs.list()] == ["job.ws.../../../x"]
    assert all(path.parent == Path(jobs.root) / "jobs" for path in (Path(jobs.root) / "jobs").iterdir())


def test_capacity_counts_what_lives(jobs, launch, ended, until):
    launch("sleep 67")
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    assert jobs.capacity() == (1, os.cpu_count())
    jobs.kill("job.ws.j", 1, 0)
    ended()
    assert jobs.capacity()[0] == 0


def test_what_a_local_site_cannot_honour_is_said(launch, ended):
    launch("true", instance_count=3)
    assert ended().notes[0].startswith("instance_count 3 is not honoured")


def test_what_a_program_installs_stays_with_it(launch, ended, door):
    where = "python -c 'import six; print(six.__file__)'"
    launch(f"pip --version && python -m pip install --quiet --disable-pip-version-check six && {where}")
    assert ended().exit_code == 0
    assert b"/venv/lib/" in door.logs["user_logs/std_log.txt"].splitlines()[-1]
    launch(where, uid="job.ws.other")
    assert ended("job.ws.other").exit_code == 1


def test_one_process_for_each_rank(launch, ended, door):
    launch(
        "echo $RANK of $WORLD_SIZE at $MASTER_ADDR:${MASTER_PORT:+port} > outputs/$RANK; "
        "[ $RANK = 0 ] && exec sleep 70; until [ -s outputs/0 ]; do sleep 0.05; done; exit 5",
        distribution={"type": "PyTorch", "process_count_per_instance": 2},
    )
    assert ended().exit_code == 5
    assert door.content("default") == {f"outputs/{n}": b"%d of 2 at 127.0.0.1:port\n" % n for n in (0, 1)}


def test_a_web_address_is_fetched(launch, ended, door, orders):
    door.public["/data.csv"] = b"from the web"
    launch("cat ${{inputs.x}}", inputs={"x": orders.Input(type="uri_file", uri=f"{door.url}/data.csv?sig=secret")})
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"from the web"


def test_a_web_address_that_does_not_answer_is_named_without_its_secret(launch, ended, door, orders):
    launch("true", inputs={"x": orders.Input(type="uri_file", uri=f"{door.url}/gone.csv?sig=secret")})
    seen = ended()
    assert seen.code == "StagingFailed"
    assert "/gone.csv answers 403" in seen.message
    assert "secret" not in seen.message


def test_a_file_that_was_an_output_is_a_file_again(launch, ended, door, orders):
    one = door.tree({"deep/data.csv": b"1,2"})
    launch("cat ${{inputs.x}}", inputs={"x": orders.Input(type="uri_file", tree=one)})
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"1,2"
    two = door.tree({"a": b"1", "b": b"2"})
    launch("true", uid="job.ws.two", inputs={"x": orders.Input(type="uri_file", tree=two)})
    assert "holds 2 files" in ended("job.ws.two").message
