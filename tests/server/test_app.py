"""The application: the whole life of a job over HTTP, and a document that describes every door."""

import base64
import json

from control_play import WORKSPACE, tree_of
from ferryml.bootstrap.server import HOOKS
from ferryml.compile.tree import bytes_digest, tree_bytes
from ferryml.control.loops import dispatch, settle
from http_play import W, fault


def upload(client, data):
    digest = bytes_digest(data)
    client.put(f"{W}/artifacts/blobs/{digest}", content=data).raise_for_status()
    return digest


def test_a_job_from_submit_to_outputs(http):
    site, dan = http.joined(), http.as_("data-scientist", WORKSPACE)
    upload(dan, b"print(1)")
    code = upload(dan, tree_bytes(tree_of({"main.py": b"print(1)"})))
    job = {
        "command": "python main.py", "code": f"content:tree:{code}:src", "compute": "c1",
        "environment": {"pip_requirements": ["numpy"]}, "outputs": {"m": {"type": "custom_model", "name": "net"}},
    }  # fmt: skip
    made = dan.post(f"{W}/jobs", json=job)
    assert made.status_code == 201
    name, uid = made.json()["name"], f"job.{WORKSPACE}.{made.json()['name']}"
    assert fault(dan.post(f"{W}/jobs", json={**job, "name": name})) == (409, "AlreadyExists")
    dispatch.tick(http.deps)

    wishes = site.as_("agent").get("/agent/v1/wishes", params={"after": 0, "epoch": "", "wait": 0}).json()
    grant = wishes["wishes"][0]["grant"]
    gateway = site.as_("gateway")
    file = gateway.get(f"/gateway/v1/blobs/{bytes_digest(b'print(1)')}", headers={"X-Ferry-Grant": grant})
    assert file.content == b"print(1)"

    weights = b"weights"
    tree = tree_bytes(tree_of({"w": weights}))
    for data in (weights, tree):
        body = {"digest": bytes_digest(data), "size": len(data), "grant": grant}
        ident = gateway.post("/gateway/v1/uploads", json=body).json()["id"]
        gateway.patch(f"/gateway/v1/uploads/{ident}", content=data, headers={"Upload-Offset": "0"}).raise_for_status()
        assert gateway.post(f"/gateway/v1/uploads/{ident}/finish").status_code == 200
    line = {"kind": "log", "path": "user_logs/std_log.txt", "offset": 0, "data": base64.b64encode(b"1\n").decode()}
    entry = {"uid": uid, "attempt": 1, "seq": 1, "grant": grant, "item": line}
    assert gateway.post("/gateway/v1/journal", json={"entries": [entry]}).json()["acknowledged"] == {f"{uid}/1": 1}
    run = gateway.get(
        f"/gateway/v1/mlflow/api/2.0/mlflow/runs/get?run_id={made.json()['mlflow_run_id']}",
        headers={"X-Ferry-Grant": grant},
    )
    assert run.json()["run"]["info"]["run_id"] == made.json()["mlflow_run_id"]

    status = {
        "kind": "Job", "phase": "Completed", "exit_code": 0,
        "outputs": {"m": {"tree": {"digest": bytes_digest(tree), "size": 7}}},
    }  # fmt: skip
    report = {"uid": uid, "generation": 1, "version": 1, "status": status, "at": http.dice.now().isoformat()}
    told = site.as_("agent").post("/agent/v1/reports", json={"epoch": "", "reports": [report]})
    assert told.json()["accepted"] == [[uid, 1, 1]]
    settle.tick(http.deps, HOOKS)

    shown = dan.get(f"{W}/jobs/{name}").json()
    assert (shown["status"], shown["ferry"]["outputs"]["m"]["asset"]) == ("Completed", "model:net:1")
    log = dan.get(f"{W}/jobs/{name}/logs/content", params={"path": "user_logs/std_log.txt"})
    assert (log.content, log.headers["X-Ferry-Phase"], log.headers["X-Ferry-Size"]) == (b"1\n", "Completed", "2")
    assert dan.get(f"{W}/models/net/versions/@latest").json()["job_name"] == name
    assert dan.get(f"{W}/jobs/{name}/outputs").json()["m"]["tree"]["digest"] == bytes_digest(tree)


def test_the_document_describes_every_door_and_only_bad_input_is_400(http):
    document = http.client().get("/openapi.json").json()
    assert {"/api/v1/workspaces/{workspace}/jobs", "/agent/v1/wishes", "/gateway/v1/journal"} <= set(document["paths"])
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))
    for path in document["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"]
            assert operation.get("summary")


def test_anybody_may_ask_how_it_is(http):
    for path in ("/healthz", "/readyz", "/version", "/api/v1/healthz", "/api/v1/version"):
        assert http.client().get(path).status_code == 200
    assert http.as_("reader", WORKSPACE).get("/api/v1/whoami").json()["role"] == "reader"
