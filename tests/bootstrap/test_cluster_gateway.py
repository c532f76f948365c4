"""The gateway of a cluster as pods and the agent meet it: TLS, service accounts, admission, news."""

from __future__ import annotations

import hashlib
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster_gateway_play import PREFIX, SYSTEM, PlayClusterGateway
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.bootstrap.cluster_gateway import ClusterGateway
from ferryml.bootstrap.dice import SystemDice
from ferryml.settings import ClusterSettings, SiteSettings
from server_play import PlayServer


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_pod_comes_in_with_its_own_token_once_it_was_let_in(pods_gateway: PlayClusterGateway) -> None:
    pod = pods_gateway.pod()
    assert code(pod.post("/v1/state", json={"phase": "staging"})) == (401, "Unauthenticated")
    assert pods_gateway.admit().status_code == 200
    assert pod.post("/v1/state", json={"phase": "staging", "message": "code"}).status_code == 200
    states = pods_gateway.agent.get("/admin/v1/states", params={"uid": "job.w.j", "attempt": 1}).json()
    assert states["0"]["message"] == "code"


def test_pods_of_other_names_and_namespaces_stay_outside(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    for pod in (pods_gateway.pod("j-0123456789-2-0-x"), pods_gateway.pod(namespace="other"), pods_gateway.pod("")):
        assert code(pod.post("/v1/complete", json={"exit_code": 0})) == (401, "Unauthenticated")


def test_a_pod_of_an_older_attempt_is_told_so(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    old = pods_gateway.pod()
    assert old.post("/v1/state", json={"phase": "running"}).status_code == 200
    pods_gateway.admit(2, "j-0123456789-2-")
    assert code(old.post("/v1/logs?path=a&offset=0", content=b"late")) == (403, "StaleAttempt")
    assert code(pods_gateway.admit(1)) == (403, "StaleAttempt")


def test_admission_outlives_the_gateway(tmp_path: Path, play_server: PlayServer) -> None:
    first = PlayClusterGateway(tmp_path, play_server)
    first.admit()
    first.pod().post("/v1/state", json={"phase": "running"})
    first.close()
    second = PlayClusterGateway(tmp_path, play_server)
    try:
        assert second.pod().post("/v1/complete", json={"exit_code": 0}).json()["receipt"] is not None
        assert second.agent.get("/admin/v1/states?uid=job.w.j&attempt=1").json()["0"]["phase"] == "running"
    finally:
        second.close()


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


def prepared(play: PlayClusterGateway, key: str = "k1") -> httpx.Client:
    play.admit(prefix="prepare-k1-", uid=f"environment.{key}", kind="preparation", namespace=SYSTEM)
    return play.pod("prepare-k1-0-x", SYSTEM)


def test_a_preparation_hands_over_an_environment_and_nothing_else(pods_gateway: PlayClusterGateway) -> None:
    assert code(pods_gateway.agent.get("/v1/environment?key=k1")) == (404, "NotFound")
    pod, data = prepared(pods_gateway), b"archive"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    said = {"digest": digest, "lock": "a==1\n", "python": "/ferry/env/bin/python", "notes": ["so"]}
    assert code(pod.post("/v1/environment", json=said)) == (409, "BlobMissing")
    pod.put(f"/v1/blobs/{digest}", content=data)
    assert pod.post("/v1/environment", json=said).status_code == 200
    found = pods_gateway.agent.get("/v1/environment?key=k1").json()
    assert found == {**said, "size": len(data)}
    assert pod.post("/v1/logs?path=x&offset=0", content=b"abc").json() == {"size": 3}
    assert pod.post("/mlflow/api/2.0/mlflow/runs/create", json={}).status_code == 403
    output = {"name": "o", "tree": {"entries": []}}
    assert code(pod.post("/v1/outputs", json=output)) == (403, "BadGrant")
    pods_gateway.admit()
    assert pods_gateway.pod().get(f"/v1/blobs/{digest}").content == data
    assert code(pods_gateway.pod().post("/v1/environment", json=said)) == (403, "Forbidden")


def test_a_grant_opens_what_it_is_for(pods_gateway: PlayClusterGateway) -> None:
    assert code(pods_gateway.admit(uid="job.w.other")) == (403, "BadGrant")
    assert code(pods_gateway.admit(uid="job.w.j", kind="preparation")) == (400, "BadRequest")
    assert code(pods_gateway.admit(uid="environment.k")) == (400, "BadRequest")
    assert code(pods_gateway.admit(prefix="j")) == (400, "BadRequest")


def test_the_pods_of_an_attempt_share_a_secret(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    one, two = (pods_gateway.pod(f"{PREFIX}{rank}-x").get("/v1/group").json()["secret"] for rank in (0, 1))
    assert one == two
    pods_gateway.admit(2, "j-0123456789-2-")
    assert pods_gateway.pod("j-0123456789-2-0-x").get("/v1/group").json()["secret"] != one


def test_hostile_words_are_refused(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    pod = pods_gateway.pod()
    for body in (
        {"phase": "hacked"},
        {"phase": "done", "exit_code": 10**9},
        {"phase": "done", "message": "x" * 5000},
        [],
    ):
        assert code(pod.post("/v1/state", json=body)) == (400, "BadRequest")
    assert code(pod.post("/v1/state", content=b"x" * 300_000)) == (413, "LimitExceeded")
    assert code(pod.get("/v1/sources/inputs.x")) == (404, "NotFound")
    assert code(pods_gateway.agent.get("/admin/v1/pulse?after=nonsense")) == (400, "BadRequest")


def test_before_the_site_has_joined_only_health_is_answered(tmp_path: Path) -> None:
    from kube_play import PlayKube

    kube, knobs = PlayKube({SYSTEM}), ClusterSettings(state_dir=tmp_path, gateway_host="127.0.0.1", gateway_port=0)
    gateway = ClusterGateway(SiteSettings(), knobs, kube, SystemDice())
    gateway.start()
    try:
        word = kube.get(CONFIG_MAPS, SYSTEM, "ferry-gateway") or {}
        tls = ssl.create_default_context(cadata=word["data"]["ca.pem"])
        with httpx.Client(base_url=f"https://127.0.0.1:{gateway.port}", verify=tls, trust_env=False) as client:
            assert client.get("/healthz").json() == {"status": "waiting"}
            assert code(client.get("/v1/blobs/x")) == (503, "Unavailable")
        assert gateway.join() is False
    finally:
        gateway.stop()


def test_its_identity_stays_in_its_secret(pods_gateway: PlayClusterGateway) -> None:
    kept = pods_gateway.kube.get(SECRETS, SYSTEM, "ferry-gateway-key")
    assert kept is not None
    assert set(kept["data"]) == {"key.pem", "ca.pem", "ca.key", "tls.crt", "tls.key"}
    word = pods_gateway.kube.get(CONFIG_MAPS, SYSTEM, "ferry-gateway")
    assert word is not None
    assert "PRIVATE" not in str(word)
    assert not pods_gateway.gateway.identity.renewed()
    assert pods_gateway.gateway.look()


def test_it_begins_anew_when_the_site_joins_another_server(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.kube.patch(CONFIG_MAPS, SYSTEM, "ferry-site", {"data": {"enrolled.json": "{}"}})
    assert not pods_gateway.gateway.look()


@pytest.mark.parametrize("path", ["/v1/blobs/sha256:" + "a" * 64, "/v1/group", "/v1/packages/simple/six/", "/v1/conda"])
def test_nothing_is_had_without_a_token(pods_gateway: PlayClusterGateway, path: str) -> None:
    assert code(pods_gateway._client("").get(path)) == (401, "Unauthenticated")
