"""What goes wrong around a job: runners that die, gateways that are away, bytes and paths that are not as said."""

import json
import os
import signal

import pytest

from ferryml.backends.local.jobs import LocalJobs
from ferryml.backends.local.processes import start_mark
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath
from ferryml.settings.site import SiteSettings


def test_a_runner_that_is_killed_is_the_machines_fault(launch, jobs, until, folder_of):
    launch("sleep 63")
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    state = json.loads((folder_of() / "state.json").read_text())
    os.kill(state["runner"]["pid"], signal.SIGKILL)
    seen = until(lambda: jobs.observe("job.ws.j", 1), lambda seen: seen.state != "running", 10)
    assert (seen.state, seen.exit_code, seen.machine_fault) == ("lost", None, True)
    assert not start_mark(state["main"]["pid"])


def test_a_runner_that_does_not_come_to_it_is_ended_with_all_the_rest(launch, jobs, until, folder_of, monkeypatch):
    monkeypatch.setattr("ferryml.backends.local.jobs.HUNG_S", 0)
    launch("sleep 68")
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    state = json.loads((folder_of() / "state.json").read_text())
    os.kill(state["runner"]["pid"], signal.SIGSTOP)

    def kill():
        jobs.kill("job.ws.j", 1, 0)
        return jobs.observe("job.ws.j", 1)

    assert until(kill, lambda seen: seen.state == "lost", 10).machine_fault
    assert not start_mark(state["main"]["pid"])


def test_a_job_that_waits_for_the_gateway_can_be_canceled(launch, jobs, door, until):
    door.down = True
    launch("true", code=door.tree({"a": b"x"}))
    until(lambda: jobs.observe("job.ws.j", 1).message, lambda said: "waiting" in said, 10)
    jobs.kill("job.ws.j", 1, 5)
    seen = until(lambda: jobs.observe("job.ws.j", 1), lambda seen: not seen.live, 10)
    assert (seen.state, seen.exit_code, seen.outputs_done) == ("exited", None, True)


def test_an_order_to_end_comes_through_even_at_once(launch, jobs, until):
    launch("sleep 69")
    jobs.kill("job.ws.j", 1, 0.1)

    def kill():
        jobs.kill("job.ws.j", 1, 0.1)
        return jobs.observe("job.ws.j", 1)

    assert until(kill, lambda seen: not seen.live, 10).state in ("exited", "lost")


def test_another_agent_takes_the_work_over(launch, jobs, environments, until, ended, tmp_path):
    gate = tmp_path / "gate"
    launch(f"until [ -e {gate} ]; do sleep 0.02; done; exit 3")
    until(lambda: jobs.observe("job.ws.j", 1).state, lambda state: state == "running", 10)
    later = LocalJobs(jobs.root, environments, SiteSettings())
    assert later.list() == [("job.ws.j", 1)]
    assert later.observe("job.ws.j", 1).state == "running"
    gate.touch()
    seen = until(lambda: later.observe("job.ws.j", 1), lambda seen: seen.outputs_done, 10)
    assert seen.exit_code == 3
    ended()


def test_a_later_process_with_the_same_pid_is_not_taken_for_ours(launch, jobs, ended, environments, folder_of):
    launch("exit 0")
    ended()
    path = folder_of() / "state.json"
    state = json.loads(path.read_text())
    mine = os.getpid()
    stranger = {"pid": mine, "mark": state["runner"]["mark"]}
    path.write_text(json.dumps({**state, "phase": "running", "exit_code": None, "runner": stranger, "main": stranger}))
    seen = LocalJobs(jobs.root, environments, SiteSettings()).observe("job.ws.j", 1)
    assert (seen.state, seen.machine_fault) == ("lost", True)
    assert os.getpid() == mine


def test_outputs_are_handed_over_by_another_runner_when_the_first_one_died(
    launch, jobs, ended, environments, door, folder_of
):
    launch("echo 1 > outputs/a")
    ended()
    path = folder_of() / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "phase": "collecting", "outputs_done": False}))
    door.complete, door.outputs = None, {}
    later = LocalJobs(jobs.root, environments, SiteSettings())
    jobs._memory.clear()
    assert later.observe("job.ws.j", 1).state == "exited"
    assert ended().outputs_done
    assert door.complete is not None
    assert door.content("default") == {"outputs/a": b"1\n"}


def test_a_gateway_that_is_away_is_waited_for(launch, jobs, ended, door, until):
    door.down = True
    launch("cat a.txt", code=door.tree({"a.txt": b"late"}))
    waiting = until(lambda: jobs.observe("job.ws.j", 1), lambda seen: "waiting" in seen.message, 10)
    assert waiting.state == "staging"
    door.down = False
    assert ended().exit_code == 0
    assert door.logs["user_logs/std_log.txt"] == b"late"


def test_what_the_gateway_does_not_have_is_named(launch, ended):
    launch("true", code={"digest": "sha256:" + "0" * 64})
    seen = ended()
    assert (seen.state, seen.code, seen.exit_code) == ("exited", "StagingFailed", None)
    assert "fetching code" in seen.message


@pytest.mark.parametrize("path", ["../up", "/etc/x", "a/../../x", "a//b", "a\\b", "C:x", "nul\n"])
def test_paths_that_leave_the_folder_are_refused(launch, ended, door, path, orders):
    manifest = {"entries": [{"path": path, "digest": door.add(b"evil"), "size": 4, "executable": False}]}
    digest = door.add(json.dumps(manifest).encode())
    launch("true", code={"digest": digest})
    seen = ended()
    assert seen.code == "StagingFailed"
    assert "leaves its folder" in seen.message


def test_bytes_that_are_not_their_digest_are_refused(launch, ended, door):
    tree = door.tree({"a": b"good"})
    door.blobs[next(digest for digest, data in door.blobs.items() if data == b"good")] = b"evil"
    launch("cat a", code=tree)
    assert "DigestMismatch" in ended().message


@pytest.mark.parametrize("path", ["../other", "../../etc"])
def test_places_outside_their_datastore_are_refused_at_once(launch, orders, tmp_path, path):
    (tmp_path / "root").mkdir()
    (tmp_path / "other").mkdir()
    place = DatastorePath(datastore="d", kind="local", root=str(tmp_path / "root"), path=path)
    with pytest.raises(Refused) as caught:
        launch("true", inputs={"x": orders.Input(type="uri_folder", place=place)})
    assert caught.value.code == "PathEscapes"


def test_links_out_of_a_datastore_are_refused(launch, orders, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to("/etc")
    place = DatastorePath(datastore="d", kind="local", root=str(tmp_path / "root"), path="link")
    with pytest.raises(Refused, match="leaves the folder"):
        launch("true", outputs={"x": orders.Output(place=place)})
