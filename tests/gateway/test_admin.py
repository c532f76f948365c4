"""The agent's routes: whom it lets in, what it is told, and nobody else."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import httpx

from cluster_gateway_play import PREFIX, PlayClusterGateway


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_agents_door_is_the_agents(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    stranger = pods_gateway.token("somebody", "team", "ferry-gateway-admin")
    for client, told in (
        (pods_gateway.pod(), (401, "Unauthenticated")),
        (pods_gateway._client(stranger), (403, "Forbidden")),
        (pods_gateway._client("x"), (401, "Unauthenticated")),
    ):
        assert code(client.post("/admin/v1/dismiss", json={"uid": "job.w.j"})) == told
        assert code(client.get("/admin/v1/pulse")) == told


def test_a_job_of_two_pods_is_complete_when_both_are(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    first, second = pods_gateway.pod(f"{PREFIX}0-a"), pods_gateway.pod(f"{PREFIX}1-b")
    for pod, files in ((first, {"both": b"0", "zero": b"00"}), (second, {"both": b"1", "one": b"11"})):
        entries = []
        for path, data in files.items():
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            assert pod.put(f"/v1/blobs/{digest}", content=data).status_code == 200
            entries.append({"path": path, "digest": digest, "size": len(data), "executable": False})
        said = {"name": "model", "tree": {"entries": entries}, "type": "uri_folder", "rank": 7}
        tree = pod.post("/v1/outputs", json=said).json()["tree"]
    assert tree["size"] == 5  # both's is rank 0's
    assert first.post("/v1/complete", json={"exit_code": 0, "of": 2}).json() == {"receipt": None}
    receipt = {"uid": "job.w.j", "attempt": 1}
    assert pods_gateway.agent.get("/admin/v1/receipt", params=receipt).json() is None
    second.post("/v1/complete", json={"exit_code": 9, "of": 2})
    found = pods_gateway.agent.get("/admin/v1/receipt", params=receipt).json()
    assert (found["exit_code"], found["outputs"]["model"]["tree"]["digest"]) == (9, tree["digest"])


def test_an_attempt_whose_pods_are_gone_can_be_closed(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    pods_gateway.pod().post("/v1/complete", json={"exit_code": 0, "of": 2})
    body = {"uid": "job.w.j", "attempt": 1, "exit_code": 137}
    assert pods_gateway.agent.post("/admin/v1/close", json=body).status_code == 200
    assert pods_gateway.agent.get("/admin/v1/receipt?uid=job.w.j&attempt=1").json()["exit_code"] == 137


def test_the_agent_wakes_on_news(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    now = pods_gateway.agent.get("/admin/v1/pulse").json()["sequence"]
    heard: list[Any] = []
    params = {"after": now, "wait": 20}
    waiting = threading.Thread(
        target=lambda: heard.append(pods_gateway.agent.get("/admin/v1/pulse", params=params, timeout=30).json())
    )
    waiting.start()
    pods_gateway.pod().post("/v1/state", json={"phase": "done"})
    waiting.join(10)
    assert heard[0]["sequence"] > now
    assert heard[0]["changed"] == [["job.w.j", 1]]
    assert pods_gateway.agent.get("/admin/v1/pulse?after=1").json()["changed"] is None


def test_a_grant_opens_what_it_is_for(pods_gateway: PlayClusterGateway) -> None:
    assert code(pods_gateway.admit(uid="job.w.other")) == (403, "BadGrant")
    assert code(pods_gateway.admit(uid="job.w.j", kind="preparation")) == (400, "BadRequest")
    assert code(pods_gateway.admit(uid="environment.k")) == (400, "BadRequest")
    assert code(pods_gateway.admit(prefix="j")) == (400, "BadRequest")
    assert code(pods_gateway.admit(uid="job.w.j", kind="serving")) == (400, "BadRequest")


def test_the_agent_learns_which_attempts_there_were(pods_gateway: PlayClusterGateway) -> None:
    def lived() -> int:
        found: int = pods_gateway.agent.get("/admin/v1/lived", params={"uid": "job.w.j"}).json()["attempt"]
        return found

    pods_gateway.admit(3)
    assert lived() == 0
    said = {"phase": "staging"}
    assert pods_gateway.pod().post("/v1/state", json=said).status_code < 300
    assert lived() == 3


def test_outputs_so_far_are_for_the_next_attempt_and_not_for_the_server(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    pod, data = pods_gateway.pod(), b"epoch 3"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    entry = {"path": "last", "digest": digest, "size": len(data), "executable": False}
    said = {"name": "model", "tree": {"entries": [entry]}, "type": "uri_folder", "rank": 0, "so_far": True}
    assert pod.post("/v1/outputs", json=said).json()["error"]["code"] == "BlobMissing"
    assert pod.put(f"/v1/blobs/{digest}", content=data).status_code == 200
    tree = pod.post("/v1/outputs", json=said).json()["tree"]
    outputs = pods_gateway.agent.get("/admin/v1/outputs?uid=job.w.j&attempt=1").json()
    assert outputs["model"]["digest"] == tree["digest"]
    pods_gateway.admit(2, "j-0123456789-2-")
    second = pods_gateway.pod("j-0123456789-2-0-abcde")
    assert second.get(f"/v1/blobs/{tree['digest']}").status_code == 200
    assert second.get(f"/v1/blobs/{digest}").content == data
    second.post("/v1/complete", json={"exit_code": 0, "of": 1})
    receipt = pods_gateway.agent.get("/admin/v1/receipt?uid=job.w.j&attempt=2").json()
    assert receipt["outputs"] == {}
    assert pods_gateway.server.items("output") == []
    assert pods_gateway.agent.get("/admin/v1/outputs?uid=job.w.j&attempt=1").json() == {}
