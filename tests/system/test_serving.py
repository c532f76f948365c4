"""Deployments through a real server, agent, gateway, router and inference server: what people are promised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from ferryml.settings import RouterSettings
from fixtures_serving import until
from fixtures_site import Programs
from relay import Relay

pytestmark = pytest.mark.timeout(180)
ALL = "/workspaces/default/online-endpoints"
ONE = f"{ALL}/digits"
BLUE = f"{ONE}/deployments/blue"
SAYS = "import json\ndef init(): pass\ndef run(raw): return [{}]"


class Serving:
    """An owner with an endpoint `digits`."""

    def __init__(self, programs: Programs, **fields: Any) -> None:
        self.api, self.programs = programs.api, programs
        self.call("POST", ALL, {"name": "digits", "compute": "here", **fields})
        self.settled(ONE)
        self.keys = self.call("GET", f"{ONE}/credentials")

    def call(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        said = self.api.request(verb, path, json=body, params=query)
        assert said.status_code < 400, said.text
        return said.json() if said.content else None

    def put(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        assert self.api.put(f"/workspaces/default/artifacts/blobs/{digest}", content=data).status_code < 300
        return digest

    def code(self, score: str) -> dict[str, str]:
        entry = {"path": "score.py", "digest": self.put(score.encode()), "size": len(score), "executable": False}
        manifest = json.dumps({"entries": [entry]}, separators=(",", ":")).encode()
        return {"code": f"content:tree:{self.put(manifest)}:", "scoring_script": "score.py"}

    def deploy(self, score: str, name: str = "blue", all_traffic: bool = True, **fields: Any) -> Any:
        document = {
            "name": name, "type": "local", "code_configuration": self.code(score),
            "environment": {"image": "python:3", "conda_file": {"dependencies": ["pip"]}}, **fields,
        }  # fmt: skip
        self.call("POST", f"{ONE}/deployments", document, all_traffic=all_traffic)
        return self.settled(f"{ONE}/deployments/{name}")

    def update(self, score: str) -> Any:
        self.call("PATCH", BLUE, {"code_configuration": self.code(score)})
        return self.settled(BLUE)

    def settled(self, path: str) -> Any:
        def look() -> Any:
            seen = self.call("GET", path)
            return seen if seen["provisioning_state"] in ("Succeeded", "Failed") else None

        return until(look, 120)

    def collected(self, collection: str) -> list[Any]:
        """Events of the newest version of a collection's asset; none while there is no asset."""
        found = self.api.get(f"/workspaces/default/datas/digits-blue-{collection}/versions/@latest")
        if found.status_code != 200:
            return []
        tree = self.blob(found.json()["ferry"]["content"]["tree"]["digest"])
        return [
            json.loads(line) for entry in json.loads(tree)["entries"]
            for line in self.blob(entry["digest"]).splitlines()
        ]  # fmt: skip

    def blob(self, digest: str) -> bytes:
        return self.api.get(f"/workspaces/default/artifacts/blobs/{digest}").content

    def ask(self, body: Any = None, key: str = "primaryKey", **headers: str) -> httpx.Response:
        uri = self.call("GET", ONE)["scoring_uri"]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(uri, json=body, headers={"Authorization": f"Bearer {self.keys[key]}", **named}, timeout=20)


@pytest.fixture
def relay(programs: Programs) -> Iterator[Relay]:
    made = Relay(programs.server.settings.port)
    yield made
    made.close()


def test_a_deployments_whole_life(programs: Programs) -> None:
    site = programs.join()
    programs.attach()
    serving = Serving(programs)
    assert serving.deploy(SAYS.format(1))["provisioning_state"] == "Succeeded"
    first = serving.ask()
    assert (first.status_code, first.json(), first.headers["azureml-model-deployment"]) == (200, [1], "blue")

    failed = serving.update("def init(): raise RuntimeError('no weights here')\ndef run(raw): pass")
    assert (failed["provisioning_state"], failed["ferry"]["code"]) == ("Failed", "UserScriptInitFailed")
    assert "RuntimeError: no weights here" in failed["ferry"]["traceback"]
    assert serving.ask().json() == [1]
    logs = until(lambda: serving.call("GET", f"{BLUE}/logs")["content"], 20)
    assert "no weights here" in logs

    assert serving.update(SAYS.format(2))["provisioning_state"] == "Succeeded"
    assert serving.ask().json() == [2]

    ids = [serving.ask().headers["x-request-id"] for _ in range(3)]
    labels = [{"request_id": one, "label": label} for one, label in zip(ids, (2, "2", 9), strict=True)]
    serving.call("POST", f"{ONE}/feedback", {"labels": labels})

    def labelled() -> Any:
        accuracy = serving.call("GET", f"{ONE}/stats")["deployments"]["blue"].get("accuracy")
        return accuracy if accuracy and accuracy["labels"] == 3 else None

    assert until(labelled, 20)["correct"] == 2
    figures = {"rate", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "in_flight", "queued", "ready", "wanted"}

    def measured() -> bool:
        serving.ask()  # the window that figures are of may be over on a busy machine
        return figures <= set(serving.call("GET", f"{ONE}/stats")["deployments"]["blue"])

    assert until(measured, 30)
    traced = serving.call("GET", f"/workspaces/default/trace/{ids[0]}")
    assert (traced["endpoint"], traced["deployment"]) == ("digits", "blue")

    serving.call("PATCH", ONE, {"traffic": {"blue": 0}})
    serving.settled(ONE)
    assert (serving.ask().status_code, serving.ask().json()["error"]["code"]) == (404, "NoValidDeployment")
    assert serving.ask(azureml_model_deployment="blue").json() == [2]
    serving.call("DELETE", ONE)
    until(lambda: serving.api.get(ONE).status_code == 404, 30)
    assert site._serving.observe("endpoint.default.digits") == []


def test_predictions_go_on_without_server_and_agent_comes_back(programs: Programs, relay: Relay) -> None:
    site = programs.join(server_url=relay.url)
    programs.attach()
    serving = Serving(programs)
    serving.deploy(SAYS.format(1))
    relay.cut()
    assert serving.ask().json() == [1]
    document = {"traffic": {"blue": 0}}
    serving.call("PATCH", ONE, document)
    assert serving.ask().json() == [1]
    before = {one.pid for one in site._serving.observe("endpoint.default.digits")}
    programs.leave(site, stop_work=False)
    site = programs.join(server_url=relay.url)
    until(lambda: serving.ask().status_code == 200, 20)
    assert {one.pid for one in site._serving.observe("endpoint.default.digits")} == before
    relay.mend()
    until(lambda: serving.ask().status_code == 404, 30)
    assert serving.settled(ONE)["provisioning_state"] == "Succeeded"


def test_keys_are_changed_one_at_a_time(programs: Programs) -> None:
    programs.join()
    programs.attach()
    serving = Serving(programs)
    serving.deploy(SAYS.format(1))
    old = dict(serving.keys)
    serving.call("POST", f"{ONE}/keys/regenerate", {"key_type": "primary"})
    until(lambda: serving.ask().status_code == 401, 20)
    assert serving.ask(key="secondaryKey").status_code == 200
    serving.keys = serving.call("GET", f"{ONE}/keys")
    assert serving.keys["secondaryKey"] == old["secondaryKey"]
    assert serving.ask().status_code == 200


def test_tokens_open_and_their_signer_changes_without_a_failure(programs: Programs) -> None:
    programs.join()
    programs.attach()
    serving = Serving(programs, auth_mode="aml_token")
    serving.deploy(SAYS.format(1))

    def ask(token: str) -> int:
        serving.keys = {"primaryKey": token}
        return serving.ask().status_code

    old = serving.keys["accessToken"]
    rotate = "/workspaces/default/endpoint-tokens/rotate"
    assert [ask(old), ask("x"), ask(old[:-9])] == [200, 401, 401]
    kept = serving.call("POST", rotate, {})["keys"]

    def renewed() -> Any:
        token = serving.call("GET", f"{ONE}/credentials")["accessToken"]
        assert ask(token) == 200
        return token if jwt.get_unverified_header(token)["kid"] == kept[1]["kid"] else None

    new = until(renewed, 30)
    assert [ask(old), ask(new)] == [200, 200]
    serving.call("POST", rotate, {"revoke": True})
    until(lambda: ask(new) == 401, 30)
    assert ask(serving.call("GET", f"{ONE}/credentials")["accessToken"]) == 200


def test_what_is_asked_and_answered_becomes_a_data_asset(programs: Programs) -> None:
    site = programs.join(collect_publish_s=1, router=RouterSettings(collect_ship_s=0.5))
    programs.attach()
    serving = Serving(programs)
    serving.deploy(SAYS.format(7))
    enabled = {"request": {"enabled": True}, "response": {"enabled": True}}
    asked = {"collections": enabled, "request_logging": {"capture_headers": ["x-tenant"]}}
    serving.call("PATCH", BLUE, {"data_collector": asked})
    serving.settled(BLUE)
    said = until(lambda: serving.ask([1, 2], x_tenant="acme", x_secret="s"), 5)

    def collected(collection: str) -> Any:
        found = serving.api.get(f"/workspaces/default/datas/digits-blue-{collection}/versions/@latest")
        return found.json() if found.status_code == 200 else None

    asset = until(lambda: collected("request"), 30)
    assert (asset["type"], asset["tags"]["endpoint"]) == ("uri_folder", "digits")
    tree = asset["ferry"]["content"]["tree"]["digest"]
    assert site.gateway.store.has(tree)

    def blob(digest: str) -> bytes:
        return serving.api.get(f"/workspaces/default/artifacts/blobs/{digest}").content

    (entry,) = json.loads(blob(tree))["entries"]
    (event,) = map(json.loads, blob(entry["digest"]).splitlines())
    assert (event["data"], event["xrequestid"]) == ([1, 2], said.headers["x-request-id"])
    assert event["headers"]["x-tenant"] == "acme"
    assert "x-secret" not in event["headers"]
    answer = until(lambda: collected("response"), 30)["ferry"]["content"]["tree"]["digest"]
    assert [json.loads(blob(one["digest"]))["data"] for one in json.loads(blob(answer))["entries"]] == [[7]]


COLLECTS = """
import json
import pandas as pd
from azureml.ai.monitoring import Collector
from azureml.ai.monitoring.context import BasicCorrelationContext

def init():
    global inputs, outputs
    inputs = Collector(name="model_inputs")
    outputs = Collector(name="model_outputs")

def run(raw):
    given = json.loads(raw)
    frame = pd.DataFrame(given["rows"])
    own = BasicCorrelationContext(id=given["id"]) if "id" in given else None
    context = inputs.collect(frame, own)
    doubled = frame * 2
    outputs.collect(doubled, context)
    return doubled.to_dict(orient="records")
"""
"""As users of the other platform write it, and nothing else."""


def test_what_a_script_collects_becomes_data_assets_too(programs: Programs) -> None:
    site = programs.join(collect_publish_s=1, router=RouterSettings(collect_ship_s=0.5))
    programs.attach()
    serving = Serving(programs)
    needs = {"dependencies": ["pip", {"pip": ["azureml-ai-monitoring", "pandas"]}]}
    collector = {"collections": {"model_inputs": {"enabled": "true"}, "model_outputs": {"enabled": "true"}}}
    made = serving.deploy(COLLECTS, environment={"image": "python:3", "conda_file": needs}, data_collector=collector)
    assert made["provisioning_state"] == "Succeeded", made
    assert serving.ask({"rows": [{"a": 1}], "id": "mine"}).json() == [{"a": 2}]
    assert until(lambda: serving.collected("model_inputs"), 30)[0]["data"] == [{"a": 1}]
    (event,) = until(lambda: serving.collected("model_outputs"), 30)
    assert (event["data"], event["correlationid"], event["xrequestid"]) == ([{"a": 2}], "mine", "mine")
    assert event["collectdatatype"].endswith("DataFrame")
    assert event["agent"].startswith("azureml-ai-monitoring/")

    programs.leave(site, stop_work=False)
    site = programs.join(collect_publish_s=1, router=RouterSettings(collect_ship_s=0.5))
    until(lambda: serving.ask({"rows": [{"a": 5}]}).status_code == 200, 20)
    both = until(lambda: len(found := serving.collected("model_outputs")) > 1 and found, 30)
    assert sorted(one["data"][0]["a"] for one in both) == [2, 10]
    site._scripts.stop()
    for _ in range(3):  # nobody takes the records, and nobody who asks notices
        assert serving.ask({"rows": [{"a": 7}]}).json() == [{"a": 14}]


READS = """
import os

def init():
    global words
    words = open(os.environ["MODEL_FILE_PATH"]).read()

def run(raw):
    return [words]
"""


def test_a_model_on_a_datastore_serves_and_records_go_to_another_folder_of_it(programs: Programs) -> None:
    programs.join(collect_publish_s=1, accept_zone_bound=True, router=RouterSettings(collect_ship_s=0.5))
    programs.attach()
    root = programs.folder / "shelf"
    (root / "models").mkdir(parents=True)
    (root / "models" / "words.txt").write_text("good evening")
    serving = Serving(programs)
    at = "azureml://datastores/shelf/paths"
    serving.call(
        "POST", "/workspaces/default/datastores", {"name": "shelf", "type": "local", "root": str(root), "site": "local"}
    )
    model = {"name": "greeter", "path": f"{at}/models/words.txt", "type": "custom_model"}
    serving.call("POST", "/workspaces/default/models", model)
    placed = {"response": {"enabled": True, "data": {"path": f"{at}/records", "name": "answers", "version": "3"}}}
    made = serving.deploy(READS, model="azureml:greeter:1", data_collector={"collections": placed})
    assert made["provisioning_state"] == "Succeeded", made
    assert serving.ask([1]).json() == ["good evening"]

    def written() -> Any:
        return [
            json.loads(line)["data"]
            for file in root.glob("records/*/*/*/*/*.jsonl")
            for line in file.read_text().splitlines()
        ]

    assert until(written, 30) == [["good evening"]]
    asset = until(lambda: serving.api.get("/workspaces/default/datas/answers/versions/3").json().get("path"), 20)
    assert asset == f"{at}/records"

    (root / "models" / "words.txt").write_text("changed since")
    made = serving.deploy(READS, "green", all_traffic=False, model="azureml:greeter:1")
    assert made["provisioning_state"] == "Succeeded", made
    assert serving.ask([1], azureml_model_deployment="green").json() == ["good evening"]
