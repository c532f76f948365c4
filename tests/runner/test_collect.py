"""A pod's life with its three containers as processes: what the gateway hears, gets and passes on."""

import http.client
import subprocess
import sys

import pytest

from pod_play import PlayPod
from system_play import until

OUTPUT = {"name": "model", "type": "uri_folder", "path": "outputs/model", "parts": [], "upload": True, "place": ""}


@pytest.fixture
def a_pod(pods_gateway, tmp_path):
    made = []

    def make(**plan):
        pods_gateway.admit()
        made.append(PlayPod(pods_gateway, tmp_path / f"pod{len(made)}", **plan))
        return made[-1]

    yield make
    for pod in made:
        pod.close()


def test_everything_of_a_run_arrives(a_pod):
    command = "echo hello; mkdir -p logs ../outputs/model; echo more > logs/own.txt; echo 1 > ../outputs/model/weights"
    pod = a_pod(command=command, outputs=[OUTPUT], folders=["code", "outputs/model"])
    assert pod.run() == 0
    state = pod.state
    assert (state["phase"], state["exit_code"], state["outputs_done"]) == ("done", 0, True)
    assert state["started_at"] <= state["ended_at"]
    assert pod.logs() == {"user_logs/std_log.txt": b"hello\n", "logs/own.txt": b"more\n"}
    receipt = pod.gateway.agent.get("/admin/v1/receipt?uid=job.w.j&attempt=1").json()
    assert list(receipt["outputs"]) == ["model"]


def test_the_first_lines_of_a_failure_are_told(a_pod):
    pod = a_pod(command="python3 -c 'raise ValueError(\"why\")'")
    assert pod.run() == 1
    assert pod.state["error_lines"][0] == "ValueError: why"


def test_a_timeout_is_named(a_pod):
    pod = a_pod(command="exec sleep 30", timeout_s=0.1)
    assert pod.run() == 143
    assert (pod.state["code"], pod.state["message"]) == ("TimedOut", "limits.timeout of 0.1 s was exceeded")


def test_what_a_container_that_vanished_left_is_handed_over(a_pod):
    """As when the kernel kills all of it at once."""
    command = "echo so far; echo 1 > ../outputs/model/part; touch ../there; exec sleep 60"
    pod = a_pod(command=command, outputs=[OUTPUT], folders=["code", "outputs/model"])
    assert pod.stage() == 0
    collect, main = pod.start_collect(), pod.start_main()
    pod.wait_for("there")
    pod._running.remove(main)
    subprocess.run(["pkill", "-KILL", "-s", str(main.pid)], check=True)  # its own session
    main.wait(5)
    collect.terminate()
    assert collect.wait(20) == 0
    assert (pod.state["phase"], pod.state["exit_code"], pod.state["outputs_done"]) == ("done", 137, True)
    assert pod.logs()["user_logs/std_log.txt"] == b"so far\n"


def test_a_collect_that_was_killed_goes_on_in_its_next_life(a_pod):
    pod = a_pod(command="echo one; touch ../there; while [ ! -e ../go ]; do sleep 0.05; done; echo two", outputs=[])
    assert pod.stage() == 0
    first, main = pod.start_collect(), pod.start_main()
    pod.wait_for("there")
    first.kill()
    first.wait(5)
    (pod.folder / "ready").unlink()
    second = pod.start_collect()
    (pod.folder / "go").touch()
    assert main.wait(20) == 0
    second.terminate()
    assert second.wait(10) == 0
    assert pod.logs() == {"user_logs/std_log.txt": b"one\ntwo\n"}


CALL = """
import json, urllib.request
body = json.dumps({"run_id": RUN, "key": "loss", "value": 0.5, "timestamp": 1, "step": 0}).encode()
url = "http://127.0.0.1:PORT/mlflow/api/2.0/mlflow/runs/log-metric"
print(urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).status)
"""


def test_user_code_reaches_the_gateway_in_plain_http_with_no_token_of_its_own(a_pod):
    pod = a_pod()
    code = CALL.replace("RUN", repr("a" * 32)).replace("PORT", str(pod.port))
    pod.plan["command"] = f"exec {sys.executable} - <<'END'\n{code}\nEND"
    assert pod.run() == 0, pod.logs()
    assert pod.logs()["user_logs/std_log.txt"] == b"200\n"
    assert [item["path"] for item in pod.gateway.server.items("mlflow")] == ["api/2.0/mlflow/runs/log-metric"]


def test_outputs_so_far_are_with_the_gateway_while_the_program_runs(a_pod):
    command = "echo 1 > ../outputs/model/epoch; while [ ! -e ../go ]; do sleep 0.05; done; rm ../outputs/model/epoch"
    pod = a_pod(command=command, outputs=[OUTPUT], folders=["code", "outputs/model"], checkpoint_s=0.05)
    assert pod.stage() == 0
    collect, main = pod.start_collect(), pod.start_main()
    ask = "/admin/v1/outputs?uid=job.w.j&attempt=1"
    until(lambda: "model" in pod.gateway.agent.get(ask).json(), 20)
    assert pod.gateway.agent.get("/admin/v1/receipt?uid=job.w.j&attempt=1").json() is None
    (pod.folder / "go").touch()
    assert main.wait(20) == 0
    collect.terminate()
    assert collect.wait(20) == 0
    assert pod.gateway.agent.get("/admin/v1/receipt?uid=job.w.j&attempt=1").json()["outputs"] == {}
    assert pod.gateway.agent.get(ask).json() == {}


def test_commands_of_a_dockerfile_reach_packages_and_nothing_else(a_pod):
    pod = a_pod(kind="build")
    collect = pod._runner("collect")

    def asked(path):
        line = http.client.HTTPConnection("127.0.0.1", pod.port, timeout=5)
        try:
            line.request("GET", path)
            return line.getresponse().status
        except OSError:
            return 0
        finally:
            line.close()

    until(lambda: asked("/v1/conda") == 200, 20, lambda: pod.said("collect"))
    assert [asked(path) for path in ("/v1/state", "/v1/blobs/x", "/mlflow/x", "/v1/group")] == [404] * 4
    collect.terminate()
    assert collect.wait(10) == 0, pod.said("collect")
