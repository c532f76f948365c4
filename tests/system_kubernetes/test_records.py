"""What an endpoint on a cluster records: requests, answers, what its script collects, labels; and where it may go."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from cluster_play import IMAGE, SYSTEM
from fixtures_s3 import S3Server
from kubebox.texts import HUB_NAME
from serving_cluster_play import COLLECTOR, Serving, installed
from system_play import W


@pytest.fixture(scope="module")
def serving(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server, and a cluster of one node in zone eu that has joined it and soon says what it has recorded."""
    values = {"router": {"collect_ship_s": 1}, "gateway": {"secrets": ["shelf"]}}
    with installed(clusters, component, tmp_path_factory.mktemp("records"), values, collect_publish_s=1) as made:
        yield made


ECHOES = """
import json
def init(): pass
def run(raw): return [json.loads(raw)["digit"]]
"""
PAYLOADS = {
    "collections": {"request": {"enabled": "true"}, "response": {"enabled": "true"}},
    "request_logging": {"capture_headers": ["x-tenant"]},
}  # fmt: skip


def test_requests_and_answers_are_recorded_and_labels_make_accuracy(serving: Serving) -> None:
    serving.endpoint("kept")
    serving.deploy(serving.document("kept", score=ECHOES, data_collector=PAYLOADS), "--all-traffic")
    answers = [serving.answer("kept", {"digit": digit}, **{"x-tenant": "acme", "x-secret": "s"}) for digit in (1, 2, 3)]
    assert [said.json() for said in answers] == [[1], [2], [3]]
    ids = [said.headers["x-request-id"] for said in answers]

    def recorded(collection: str) -> Any:
        every = serving.events(f"kept-blue-{collection}")
        return every if sum(map(len, every.values())) == 3 else None

    asked = serving.until(lambda: recorded("request"))
    assert all(re.fullmatch(r"\d{4}/\d\d/\d\d/\d\d/[^/]+\.jsonl", path) for path in asked)
    events = {one["xrequestid"]: one for lines in asked.values() for one in lines}
    assert [events[one]["data"] for one in ids] == [{"digit": 1}, {"digit": 2}, {"digit": 3}]
    assert (events[ids[0]]["type"], events[ids[0]]["specversion"]) == ("azureml.inference.request", "1.0")
    assert events[ids[0]]["headers"]["x-tenant"] == "acme"
    assert "x-secret" not in events[ids[0]]["headers"]
    given = serving.until(lambda: recorded("response"))
    assert {one["correlationid"]: one["data"] for lines in given.values() for one in lines}[ids[2]] == [3]
    asset = serving.asset("kept-blue-request")
    assert (asset["type"], asset["tags"]["endpoint"]) == ("uri_folder", "kept")

    for one, label in zip(ids, ("1", "2", "9"), strict=True):
        serving.world.ferry("online-endpoint", "feedback", "-n", "kept", "--request-id", one, "--label", label)

    def accuracy() -> Any:
        said = json.loads(serving.world.ferry("online-endpoint", "stats", "-n", "kept"))
        found = said["deployments"]["blue"].get("accuracy")
        return found if found and found["labels"] == 3 else None

    assert serving.until(accuracy)["correct"] == 2
    table = serving.world.ferry("online-endpoint", "stats", "-n", "kept", "-o", "table")
    assert table.splitlines()[2].split()[-1] == "3"
    serving.world.ferry("online-endpoint", "delete", "-n", "kept", "-y")


COLLECTS = """
import json
import pandas as pd
from azureml.ai.monitoring import Collector

def init():
    global inputs, outputs
    inputs = Collector(name="model_inputs")
    outputs = Collector(name="model_outputs")

def run(raw):
    frame = pd.DataFrame(json.loads(raw))
    context = inputs.collect(frame)
    doubled = frame * 2
    outputs.collect(doubled, context)
    return doubled.to_dict(orient="records")
"""
"""As users of the other platform write it."""
SCRIPTED = {"collections": {"model_inputs": {"enabled": "true"}, "model_outputs": {"enabled": "true"}}}
COLLECTING = {
    "name": "collecting", "image": IMAGE,
    "conda_file": {"dependencies": ["python>=3.11", {"pip": ["azureml-inference-server-http", COLLECTOR, "pandas"]}]},
}  # fmt: skip


def test_what_a_script_collects_becomes_data_assets(serving: Serving) -> None:
    """Each half of a record knows the other by what `collect` gave back."""
    serving.endpoint("script")
    made = serving.document("script", score=COLLECTS, data_collector=SCRIPTED, environment=COLLECTING)
    serving.deploy(made, "--no-wait")
    serving.until(lambda: serving.shown("script")["provisioning_state"] == "Succeeded", 600)
    serving.world.ferry("online-endpoint", "update", "-n", "script", "--traffic", "blue=100")
    assert serving.ask("script", [{"a": 1}, {"a": 2}]) == (200, [{"a": 2}, {"a": 4}])
    inputs = serving.until(lambda: serving.events("script-blue-model_inputs"))
    outputs = serving.until(lambda: serving.events("script-blue-model_outputs"))
    ((given,),), ((made_of_it,),) = inputs.values(), outputs.values()
    assert (given["data"], made_of_it["data"]) == ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 4}])
    assert given["correlationid"] == made_of_it["correlationid"]
    assert given["type"] == "azureml.inference.model_inputs"
    serving.world.ferry("online-endpoint", "delete", "-n", "script", "-y")


READS = """
import os

def init():
    global words
    words = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "greeter", "words")).read()

def run(raw):
    return [words]
"""


@pytest.fixture(scope="module")
def bucket(serving: Serving, s3_server: S3Server) -> S3Store:
    """On this machine, and in the site's zone: what is on datastore `shelf` may not leave it."""
    name, keys = (
        s3_server.new_bucket(),
        {"access_key_id": s3_server.access_key, "secret_access_key": s3_server.secret_key},
    )
    serving.cluster.expose(int(s3_server.url.rpartition(":")[2]))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shelf", "namespace": SYSTEM},
        "stringData": keys,
    }
    serving.cluster.apply(secret)
    made = {
        "name": "shelf", "type": "s3", "bucket": name, "region": s3_server.region, "zone": "eu", "prefix": "ml",
        "endpoint": s3_server.url.replace("127.0.0.1", HUB_NAME), "secret_ref": {"name": "shelf"},
    }  # fmt: skip
    serving.world.post(f"{W}/datastores", made)
    return S3Store(
        name, prefix="ml", endpoint=s3_server.url, region=s3_server.region, client_options={"allow_http": True}, **keys
    )


def test_a_model_on_a_datastore_serves_and_nothing_of_it_leaves_its_zone(serving: Serving, bucket: S3Store) -> None:
    obstore.put(bucket, "models/greeter/words", b"good evening")
    at = "azureml://datastores/shelf/paths"
    serving.world.post(f"{W}/models", {"name": "greeter", "path": f"{at}/models/greeter", "type": "custom_model"})
    placed = {"enabled": "true", "data": {"path": f"{at}/records"}}
    recorded = {"collections": {"request": {"enabled": "true"}, "response": placed}}
    made = serving.document("stored", score=READS, model="azureml:greeter:1", data_collector=recorded)
    serving.endpoint("stored")
    serving.deploy(made, "--all-traffic")
    assert serving.ask("stored", {"a": 1}) == (200, ["good evening"])

    def written() -> list[Any]:
        every = [one["path"] for page in obstore.list(bucket, "records") for one in page]
        assert all(re.fullmatch(r"records/\d{4}/\d\d/\d\d/\d\d/[^/]+\.jsonl", path) for path in every)
        return [json.loads(line) for path in every for line in bytes(obstore.get(bucket, path).bytes()).splitlines()]

    assert [one["data"] for one in serving.until(written)] == [["good evening"]]
    answers = serving.until(lambda: serving.asset("stored-blue-response"))
    assert (answers["path"], answers["ferry"]["content"]["zones"]) == (f"{at}/records", ["eu"])
    asked = serving.until(lambda: serving.asset("stored-blue-request"))["ferry"]["content"]
    assert (asked["site"], asked["site_only"], asked["zones"]) == ("cloud", True, ["eu"])
    assert serving.world.api.get(f"{W}/artifacts/blobs/{asked['tree']['digest']}").status_code == 404

    obstore.put(bucket, "models/greeter/words", b"changed since")
    serving.deploy({**made, "environment_variables": {"ANEW": "1"}}, verb="update")
    assert serving.ask("stored", {"a": 1}) == (200, ["good evening"])
    serving.world.ferry("online-endpoint", "delete", "-n", "stored", "-y")
