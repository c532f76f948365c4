"""Real deployments with the real inference server: layout, crash loops, logs, re-adoption, the end of a group."""

import json
import os
import socket
import urllib.request

import psutil
import pytest

from ferryml.backends.local.serving import LocalServing
from ferryml.domain.errors import Refused
from ferryml.domain.orders import EnvironmentOrder
from fixtures_serving import ReadyMade, a_revision, until

UID = "endpoint.ws.digits"
A = "a" * 10

ADDS = """
import json, os

def init():
    print("model dir", os.environ.get("AZUREML_MODEL_DIR", "none"))

def run(raw_data):
    return [sum(json.loads(raw_data)["data"])]
"""
TELLS = """
import json, os

def init():
    pass

def run(raw_data):
    root = os.environ["AZUREML_MODEL_DIR"]
    found = [os.path.relpath(os.path.join(d, f), root) for d, _, files in os.walk(root) for f in files]
    kept = ("AML_APP_ROOT", "AZUREML_ENTRY_SCRIPT", "WORKER_COUNT", "COLOUR", "SECRET_OF_THE_SITE")
    return {"files": sorted(found), "root": root, "cwd": os.getcwd(), **{k: os.environ.get(k) for k in kept}}
"""


KINDS = """
def init():
    pass

def run(raw_data):
    return [type(raw_data).__name__, raw_data]
"""
RAW = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    body = request.get_data(False)
    return AMLResponse(request.method.encode() + b" " + body[::-1], 201 if body else 204)
"""


@pytest.fixture
def serving(tmp_path, shelf, server_python):
    made = LocalServing(tmp_path / "serving", shelf.at, ReadyMade(server_python))
    yield made
    made.close(end=True)


def ask(port: int, body: object = None) -> object:
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/score", json.dumps(body or {}).encode(), kind)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def post(port: int, body: bytes) -> tuple[int, bytes]:
    kind = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{port}/score", body, kind), timeout=10
    ) as said:
        return said.status, said.read()


def state(serving, *wanted: str):
    seen = serving.observe(UID)
    return seen if seen and all(one.state in wanted for one in seen) else None


def test_a_script_answers_and_ends_as_a_group(serving, shelf):
    serving.scale(UID, a_revision(shelf, ADDS), 1, 2)
    (seen,) = until(lambda: state(serving, "ready"))
    assert ask(seen.port, {"data": [1, 2]}) == [3]
    assert b"model dir none" in serving.logs(UID, A, "inference-server").data
    assert b"files are in place" in serving.logs(UID, A, "storage-initializer").data
    members = psutil.Process(seen.pid).children(recursive=True)
    assert members
    serving.stop(UID, A, grace_s=3)
    until(lambda: not serving.observe(UID))
    assert not psutil.pid_exists(seen.pid)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in members))
    assert serving.logs(UID, A, "inference-server").data
    serving.clean(UID)
    assert serving.logs(UID, A, "inference-server").data == b""


def test_bodies_come_as_text_and_lists_go_as_they_are(serving, shelf):
    serving.scale(UID, a_revision(shelf, KINDS), 1, 2)
    (seen,) = until(lambda: state(serving, "ready"))
    assert post(seen.port, b"[1]") == (200, b'["str", "[1]"]')


def test_a_raw_script_has_the_bytes_and_says_the_status(serving, shelf):
    serving.scale(UID, a_revision(shelf, RAW), 1, 2)
    (seen,) = until(lambda: state(serving, "ready"))
    assert post(seen.port, b"\x00\xff[") == (201, b"POST [\xff\x00")


def test_it_listens_on_loopback_only(serving, shelf):
    serving.scale(UID, a_revision(shelf, ADDS), 1, 2)
    (seen,) = until(lambda: state(serving, "ready"))
    places = {c.laddr.ip for c in psutil.Process(seen.pid).net_connections("tcp") if c.status == "LISTEN"}
    assert places == {"127.0.0.1"}


def test_model_layout_and_variables(serving, shelf, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SITE", "hush")
    folder = shelf.tree({"digits.pkl": b"x", "sub/more.txt": "y"}, name="model")
    single = shelf.file("digits.pkl", b"x")
    common = {"environment_variables": {"COLOUR": "blue"}, "model_name": "model:digits:3"}
    serving.scale(UID, a_revision(shelf, TELLS, "a" * 10, model=folder, **common), 1, 2)
    serving.scale(UID, a_revision(shelf, TELLS, "b" * 10, model=single, **common), 1, 2)
    of_folder, of_file = (ask(one.port) for one in until(lambda: state(serving, "ready")))
    assert of_folder["files"] == ["model/digits.pkl", "model/sub/more.txt"]
    assert of_file["files"] == ["digits.pkl"]
    assert of_file["root"].endswith("/azureml-models/digits/3")
    assert of_file["cwd"] == of_file["AML_APP_ROOT"]
    assert of_file["AZUREML_ENTRY_SCRIPT"].endswith("score.py")
    assert (of_file["WORKER_COUNT"], of_file["COLOUR"]) == ("1", "blue")
    assert of_file["SECRET_OF_THE_SITE"] is None


@pytest.mark.parametrize(
    ("score", "code", "words"),
    [
        ("import nosuchpackage\ndef init(): pass\ndef run(d): pass", "UserScriptImportError", "nosuchpackage"),
        ("def init(): raise RuntimeError('no model here')\ndef run(d): pass", "UserScriptInitFailed", "no model here"),
        ("def init(): pass", "UserScriptFunctionNotFound", "run()"),
        ("import os\ndef init(): os._exit(9)\ndef run(d): pass", "DeploymentCrashLoopBackOff", "code 9"),
    ],
)
def test_a_crash_loop_says_why(serving, shelf, score, code, words):
    serving.scale(UID, a_revision(shelf, score), 1, 2)
    (seen,) = until(lambda: state(serving, "failed"))
    assert seen.code == code
    assert words in seen.reason
    if code in ("UserScriptImportError", "UserScriptInitFailed"):
        assert seen.log_tail.startswith("Traceback")
        assert "score.py" in seen.log_tail
        assert seen.log_tail.encode()[-40:] in serving.logs(UID, A, "inference-server").data


def test_a_crashed_instance_comes_back(serving, shelf):
    serving.scale(UID, a_revision(shelf, ADDS), 1, 2)
    (seen,) = until(lambda: state(serving, "ready"))
    os.kill(seen.pid, 9)
    (again,) = until(lambda: [one for one in serving.observe(UID) if one.state == "ready" and one.restarts == 1])
    assert ask(again.port, {"data": [2]}) == [2]
    assert again.pid != seen.pid


def test_a_later_life_takes_over_what_runs(tmp_path, shelf, server_python):
    first = LocalServing(tmp_path / "serving", shelf.at, ReadyMade(server_python))
    first.scale(UID, a_revision(shelf, ADDS), 1, 2)
    (before,) = until(lambda: state(first, "ready"))
    first.close(end=False)
    later = LocalServing(tmp_path / "serving", shelf.at, ReadyMade(server_python))
    try:
        (after,) = later.observe(UID)
        assert (after.state, after.pid, after.port) == ("ready", before.pid, before.port)
        later.scale(UID, a_revision(shelf, ADDS), 1, 2)
        assert ask(after.port, {"data": [5]}) == [5]
    finally:
        later.close(end=True)
    assert later.observe(UID) == []


def test_a_custom_program_serves_on_its_routes(serving, shelf):
    program = (
        "import http.server, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if self.path == '/well' else 404); self.end_headers()\n"
        "    def do_POST(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'[1]')\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n"
    )
    environment = EnvironmentOrder(
        key="k", liveness="8501/well", readiness="8501/well", scoring="8501/score", port=8501
    )
    order = a_revision(
        shelf,
        "",
        flavor="custom",
        code=shelf.tree({"serve.py": program}),
        command="python serve.py $PORT",
        environment=environment,
    )
    serving.scale(UID, order, 2, 2)
    seen = until(lambda: state(serving, "ready"))
    assert len({one.port for one in seen}) == 2
    assert [ask(one.port) for one in seen] == [[1], [1]]


def test_a_missing_script_is_named(serving, shelf):
    serving.scale(UID, a_revision(shelf, ADDS, scoring_script="other.py"), 1, 2)
    (seen,) = until(lambda: state(serving, "failed"))
    assert (seen.code, "other.py" in seen.reason) == ("BadArgument", True)


def test_missing_content_is_said(serving, shelf):
    order = a_revision(shelf, ADDS)
    shelf.at(order.code.digest).unlink()
    serving.scale(UID, order, 1, 2)
    (seen,) = until(lambda: state(serving, "failed"))
    assert seen.code == "StagingFailed"


def test_triton_is_refused(serving, shelf):
    with pytest.raises(Refused, match="Triton"):
        serving.scale(UID, a_revision(shelf, "", flavor="triton"), 1, 2)


def test_an_unknown_container_is_refused(serving):
    with pytest.raises(Refused, match="container"):
        serving.logs(UID, A, "../../etc")


def test_a_port_in_use_is_not_taken(serving, shelf):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        serving.scale(UID, a_revision(shelf, ADDS), 1, 2)
        (seen,) = until(lambda: state(serving, "ready"))
        assert seen.port != other.getsockname()[1]
