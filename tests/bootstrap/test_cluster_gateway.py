"""The gateway of a cluster as pods and the agent meet it: TLS, service accounts, admission, news."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import httpx
import pytest

from cluster_gateway_play import SYSTEM, PlayClusterGateway
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.bootstrap.cluster_gateway import ClusterGateway
from ferryml.bootstrap.dice import SystemDice
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath
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


def test_a_secret_of_the_site_opens_its_bucket_for_its_workspace_alone(pods_gateway: PlayClusterGateway) -> None:
    def a_secret(name: str, **labels: str) -> None:
        data = {"access_key_id": "a", "secret_access_key": "b"}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        meta = {"name": name, "namespace": SYSTEM, "labels": labels}
        pods_gateway.kube.write({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded})

    def opened(secret: str) -> dict[str, str]:
        place = DatastorePath(datastore="lake", kind="s3", root="s3://b/x", options={"secret": secret})
        return pods_gateway.gateway._secret(place, "w")

    a_secret("lake")
    a_secret("mine", **{"ferryml.dev/workspace": "w"})
    a_secret("theirs", **{"ferryml.dev/workspace": "other"})
    assert opened("lake")["access_key_id"] == opened("mine")["access_key_id"] == "a"
    assert opened("") == {}
    for name in ("theirs", "nowhere", "ferry-gateway-key"):
        with pytest.raises(Refused, match="has no Secret"):
            opened(name)
