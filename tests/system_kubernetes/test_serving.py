"""Endpoints on real pods: from a scoring script to answers, updates that leave what serves alone, failures in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import kubebox.images
from cluster_play import IMAGE
from ferryml.domain.curated import TRITON_IMAGE
from serving_cluster_play import Serving, installed, says
from system_play import Callers, W

TRITON = "ferry-tests/triton:1"
"""What stands in for it; see tests/fixtures/triton."""
VALUES = {"cluster": {"image_patience_s": 10}, "workloads": {"imageAliases": {TRITON_IMAGE: TRITON}}}
RAISES = "def init(): raise RuntimeError('no weights here')\ndef run(d): return [1]\n"
CUSTOM = {
    "name": "own", "image": IMAGE,
    "inference_config": {
        "liveness_route": {"port": 5001, "path": "/live"}, "readiness_route": {"port": 5001, "path": "/live"},
        "scoring_route": {"port": 5001, "path": "/score"},
    },
}  # fmt: skip

SERVER_OF_ONES_OWN = """
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
words = open(os.environ["MODEL_FILE_PATH"] + "/words").read()
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps([words]).encode()
        self.send_response(200 if self.path in ("/live", "/score") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()
assert os.environ["MODEL_FILE_PATH"].startswith("/srv/models/greeting/7")
HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""

SAVES = """
import sys, mlflow.pyfunc
needs = ["mlflow-skinny", "pandas"]
mlflow.pyfunc.save_model(sys.argv[1], python_model=lambda rows: rows * 2, pip_requirements=needs)
"""


@pytest.fixture(scope="module")
def serving(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server, and a cluster of one node that has joined it."""
    with installed(clusters, component, tmp_path_factory.mktemp("serving"), VALUES) as made:
        yield made


def test_a_script_becomes_pods_that_answer(serving: Serving) -> None:
    serving.endpoint("first")
    serving.deploy(serving.document("first", score=says("old"), instance_count=2))
    shown = serving.shown("first")
    assert shown["provisioning_state"] == "Succeeded", shown
    pods = serving.pods("first")
    assert [serving.ask_pod(pod) for pod in pods] == [["old"], ["old"]]
    serving.until(lambda: "hello from init" in serving.logs("first"))
    serving.until(lambda: "fetching code" in serving.logs("first", container="storage-initializer"))
    (shown,) = serving.objects("onlinedeployments", "first")
    serving.until(lambda: serving.objects("onlinedeployments", "first")[0]["status"]["ready"] == 2)
    assert shown["spec"]["deployment"] == "blue"
    owners = {one["metadata"]["name"] for one in serving.objects("onlineendpoints", "first")}
    for kind in ("deployments.apps", "services", "configmaps", "onlinedeployments"):
        for one in serving.objects(kind, "first"):
            assert {owner["name"] for owner in one["metadata"]["ownerReferences"]} == owners


def test_an_update_leaves_what_serves_alone_until_it_is_ready(serving: Serving) -> None:
    before = {one["metadata"]["uid"] for one in serving.pods("first")}
    serving.deploy(serving.document("first", score=says("old", "import absent_package")), verb="update", ok=False)
    shown = serving.shown("first")
    assert (shown["provisioning_state"], shown["ferry"]["code"]) == ("Failed", "UserScriptImportError"), shown
    assert "absent_package" in shown["ferry"]["reason"]
    assert "import absent_package" in shown["ferry"]["traceback"]
    assert {one["metadata"]["uid"] for one in serving.pods("first")} == before
    assert "absent_package" in serving.logs("first", revision=list(shown["ferry"]["revisions"])[-1])
    serving.deploy(serving.document("first", score=says("new"), instance_count=2), verb="update")
    pods = serving.until(lambda: len(found := serving.pods("first")) == 2 and found)
    assert [serving.ask_pod(pod) for pod in pods] == [["new"], ["new"]]
    assert not before & {one["metadata"]["uid"] for one in pods}


def test_more_and_fewer_without_new_pods_for_those_that_stay(serving: Serving) -> None:
    before = {one["metadata"]["name"] for one in serving.pods("first")}
    serving.world.ferry("online-deployment", "update", "-n", "blue", "-e", "first", "--set", "instance_count=3")
    assert before < {one["metadata"]["name"] for one in serving.pods("first")}
    serving.world.ferry("online-deployment", "update", "-n", "blue", "-e", "first", "--set", "instance_count=1")
    (pod,) = serving.until(lambda: len(found := serving.pods("first")) == 1 and found)
    assert pod["metadata"]["name"] in before
    assert serving.ask_pod(pod) == ["new"]


def test_callers_reach_it_through_the_router(serving: Serving) -> None:
    assert serving.ask("first")[0] == 404
    serving.world.ferry("online-endpoint", "update", "-n", "first", "--traffic", "blue=100")
    assert serving.ask("first") == (200, ["new"])
    assert serving.ask("first", key="wrong")[0] == 401
    shown = serving.world.get(f"{W}/online-endpoints/first")
    assert shown["scoring_uri"].endswith("/api/v1/endpoint/first/score")
    assert shown["ferry"]["weights"] == {serving.shown("first")["ferry"]["serving"]: 100}


def test_nobody_notices_an_update(serving: Serving) -> None:
    with Callers(serving.uri("first"), serving.key("first"), people=2, pause_s=0.05) as callers:
        serving.deploy(serving.document("first", score=says("newest")), verb="update")
        serving.until(lambda: "newest" in callers.answers()[-1][1])
        serving.until(lambda: len(serving.pods("first")) == 1)
    answers = callers.answers()
    assert {code for code, _ in answers} == {200}, [one for one in answers if one[0] != 200][:3]
    assert {body for _, body in answers} == {'["new"]', '["newest"]'}


def test_a_container_of_ones_own_and_an_mlflow_model(serving: Serving) -> None:
    """The one finds its model where it was told to; the other needs neither code nor environment."""
    model = serving.folder / "greeting"
    model.mkdir()
    (model / "words").write_text("good morning")
    own = {
        "environment": CUSTOM, "command": f"python3 -c '{SERVER_OF_ONES_OWN}'", "model_mount_path": "/srv/models",
        "model": {"name": "greeting", "version": "7", "path": str(model), "type": "custom_model"},
    }  # fmt: skip
    serving.endpoint("own")
    serving.deploy(serving.document("own", **own), "--all-traffic")
    assert serving.ask("own") == (200, ["good morning"])
    doubles = serving.folder / "doubles"
    subprocess.run([sys.executable, "-c", SAVES, str(doubles)], check=True, timeout=120, capture_output=True)
    made = serving.document("flow", model={"name": "doubles", "path": str(doubles), "type": "mlflow_model"})
    serving.endpoint("flow")
    serving.deploy({key: value for key, value in made.items() if key != "environment"}, "--all-traffic")
    assert serving.ask("flow", {"input_data": [[1], [2]]})[0] == 200
    for name in ("own", "flow"):
        serving.world.ferry("online-endpoint", "delete", "-n", name, "-y")


def test_a_triton_model_is_asked_at_its_own_routes(serving: Serving) -> None:
    """Neither code nor environment: the repository is where the server is told to look."""
    recipe = Path(__file__).parents[1] / "fixtures" / "triton"
    serving.cluster.load_image(kubebox.images.build(recipe / "Containerfile", recipe, TRITON))
    repository = serving.folder / "repository"
    for version, factor in ((1, "2"), (2, "10")):
        (repository / "scales" / str(version)).mkdir(parents=True)
        (repository / "scales" / str(version) / "factor").write_text(factor)
    (repository / "scales" / "config.pbtxt").write_text('name: "scales"\nbackend: "stand_in"\n')
    made = serving.document("triton", model={"name": "scales", "path": str(repository), "type": "triton_model"})
    serving.endpoint("triton")
    serving.deploy({key: value for key, value in made.items() if key != "environment"}, "--all-traffic")
    (pod,) = serving.pods("triton")
    (main,) = pod["spec"]["containers"]
    assert main["image"] == TRITON
    asked = {probe: main[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert [(one["port"], one["path"]) for one in asked.values()] == [
        (8000, "/v2/health/live"), (8000, "/v2/health/ready"), (8000, "/v2/health/ready"),
    ]  # fmt: skip
    serving.until(lambda: "GET /v2/health/ready HTTP/1.1" in serving.logs("triton"))

    def ask(path: str, body: object = None) -> tuple[int, Any]:
        head = {"Authorization": f"Bearer {serving.key('triton')}"}
        verb = "GET" if body is None else "POST"
        said = httpx.request(verb, serving.uri("triton") + path, json=body, headers=head, timeout=20, trust_env=False)
        return said.status_code, said.json() if said.content else None

    tensor = {"name": "X", "shape": [2], "datatype": "FP32", "data": [1, 2]}
    status, said = ask("/v2/models/scales/infer", {"inputs": [tensor]})
    assert (status, said["model_version"], said["outputs"][0]["data"]) == (200, "2", [10, 20])
    assert ask("/v2/models/scales/versions/1/infer", {"inputs": [tensor]})[1]["outputs"][0]["data"] == [2, 4]
    assert ask("/v2/health/ready") == (200, None)
    assert ask("/v2/models/scales")[1]["versions"] == ["1", "2"]
    assert ask("/v2/models/other/infer", {"inputs": [tensor]})[0] == 400
    serving.world.ferry("online-endpoint", "delete", "-n", "triton", "-y")


FAILING: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "raises": (RAISES, {}, "UserScriptInitFailed", "no weights here"),
    "empty": ("def init(): pass\n", {}, "UserScriptFunctionNotFound", "run()"),
    "image": ("", {"environment": {**CUSTOM, "image": "registry.invalid/none:1"}}, "ImagePullLoopBackOff", "none:1"),
    "greedy": (says(1, "import os\nkept = os.urandom(600 << 20)"), {}, "PodOutOfMemory", "memory"),
    "silent": ("", {"environment": CUSTOM, "command": "sleep 1000"}, "ResourceNotReady", "GET /live on port 5001"),
}
"""Name of an endpoint -> script, other fields, the code of its failure, and words of the reason."""


def test_failures_say_what_to_mend(serving: Serving) -> None:
    """All at once: each takes its time."""
    for name, (score, fields, _, _) in FAILING.items():
        serving.endpoint(name)
        serving.deploy(serving.document(name, score=score, **fields), "--no-wait")
    for name, (_, _, code, words) in FAILING.items():
        serving.until(lambda name=name: serving.shown(name)["provisioning_state"] == "Failed", 180)  # type: ignore[misc]  mypy knows no lambdas with defaults
        shown = serving.shown(name)["ferry"]
        assert shown["code"] == code, shown
        assert words in shown["reason"], shown
    assert "no weights here" in serving.logs("raises")
    assert "no weights here" in serving.shown("raises")["ferry"]["traceback"]


def test_one_that_finds_no_node_says_so_while_it_waits(serving: Serving) -> None:
    serving.endpoint("wide")
    wide = {"requests": {"cpu": "1500m", "memory": "100Mi"}, "limits": {"cpu": "2", "memory": "300Mi"}}
    serving.deploy(serving.document("wide", score=says(1), resources=wide, instance_count=2), "--no-wait")
    reason = serving.until(
        lambda: (found := serving.shown("wide")["ferry"]["reason"]) and "nodes" in found and found, 120
    )
    assert "too little CPU" in reason


def test_deleting_leaves_nothing(serving: Serving) -> None:
    for name in ("first", *FAILING):
        serving.world.ferry("online-endpoint", "delete", "-n", name, "-y", "--no-wait")
    kinds = (
        "pods",
        "deployments.apps",
        "services",
        "configmaps",
        "poddisruptionbudgets",
        "onlineendpoints",
        "onlinedeployments",
    )
    serving.until(lambda: not any(serving.objects(kind, name) for kind in kinds for name in ("first", *FAILING)), 120)
