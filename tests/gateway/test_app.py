"""The gateway's HTTP, asked as a job's runner asks: tokens, digests, sizes, and hostile input."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from ferryml.gateway.app import Routes, build
from gateway_play import PlayPlace
from server_play import PlayServer


class AppClient:
    """Asks the application without a socket, one call at a time."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)


@pytest.fixture
def client(gateway: PlayPlace) -> AppClient:
    routes = Routes(gateway.door, gateway.mlflow, gateway.store, max_body_bytes=1000)
    return AppClient(build(routes, lambda: "req1"))


class Job:
    def __init__(self, gateway: PlayPlace, client: AppClient, uid: str = "job.w.j", **grant: Any) -> None:
        self.client = client
        self.token = gateway.door.admit(uid, 1, gateway.server.grant(uid, **grant))

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_health_needs_no_token(client: AppClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Basic abc"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/blobs/sha256:x"), ("PUT", "/v1/blobs/sha256:x"), ("POST", "/v1/logs?path=a"),
                         ("POST", "/v1/outputs"), ("POST", "/v1/complete"), ("GET", "/mlflow/version")]
)  # fmt: skip
def test_without_a_token_nothing_opens(client: AppClient, method: str, path: str, header: str) -> None:
    assert client.request(method, path, headers={"Authorization": header}).status_code == 401


def test_content_of_the_grant_is_fetched_once(gateway: PlayPlace, client: AppClient, play_server: PlayServer) -> None:
    digest = play_server.keep(b"code")
    job = Job(gateway, client, reads=(digest,))
    assert job.ask("GET", f"/v1/blobs/{digest}").content == b"code"
    assert job.ask("GET", f"/v1/blobs/{digest}", headers={"Range": "bytes=2-"}).content == b"de"
    assert len([r for r in play_server.requests if r.method == "GET"]) == 1


def test_a_tree_grants_what_it_holds_and_nothing_else(
    gateway: PlayPlace, client: AppClient, play_server: PlayServer
) -> None:
    inside, outside = play_server.keep(b"inside"), play_server.keep(b"outside")
    tree = {"entries": [{"path": "a.txt", "digest": inside, "size": 6, "executable": False}]}
    root = play_server.keep(json.dumps(tree, separators=(",", ":")).encode())
    job = Job(gateway, client, reads=(root,))
    assert code(job.ask("GET", f"/v1/blobs/{inside}")) == "BadGrant", "before its tree was read nothing is known of it"
    assert job.ask("GET", f"/v1/trees/{root}").json() == tree
    assert job.ask("GET", f"/v1/blobs/{inside}").content == b"inside"
    assert code(job.ask("GET", f"/v1/blobs/{outside}")) == "BadGrant"


def test_what_another_workspace_brought_is_not_ours_by_its_digest(
    gateway: PlayPlace, client: AppClient, play_server: PlayServer
) -> None:
    """A file that looks like a manifest, made by hand, must not open what lies in the store for others."""
    secret = play_server.keep(b"secret")
    Job(gateway, client, "job.other.k", workspace="other", reads=(secret,)).ask("GET", f"/v1/blobs/{secret}")
    del play_server.blobs[secret]
    forged = play_server.keep(json.dumps({"entries": [{"path": "a", "digest": secret, "size": 6}]}).encode())
    job = Job(gateway, client, reads=(forged,))
    assert job.ask("GET", f"/v1/trees/{forged}").status_code == 200
    assert job.ask("GET", f"/v1/blobs/{secret}").status_code == 404, "the server is asked, and knows nothing of it"
    output = {"name": "o", "tree": {"entries": [{"path": "a", "digest": secret, "size": 6}]}}
    assert code(job.ask("POST", "/v1/outputs", json=output)) == "BlobMissing"


def test_a_server_that_is_away_is_worth_another_try(
    gateway: PlayPlace, client: AppClient, play_server: PlayServer
) -> None:
    digest = play_server.keep(b"code")
    job = Job(gateway, client, reads=(digest,))
    play_server.close()
    assert job.ask("GET", f"/v1/blobs/{digest}").status_code == 503


def test_outputs_logs_and_the_end(gateway: PlayPlace, client: AppClient, play_server: PlayServer) -> None:
    job = Job(gateway, client)
    digest = digest_of(b"weights")
    assert job.ask("PUT", f"/v1/blobs/{digest}", content=b"weights").json() == {"digest": digest, "size": 7}
    tree = {"entries": [{"path": "w.bin", "digest": digest, "size": 7, "executable": False}]}
    said = job.ask("POST", "/v1/outputs", json={"name": "model", "tree": tree, "type": "custom_model"}).json()
    assert said["tree"]["size"] == 7
    assert job.ask("POST", "/v1/logs?path=user_logs/std_log.txt&offset=0", content=b"hi\n").json() == {"size": 3}
    assert job.ask("POST", "/v1/complete", json={"exit_code": 0, "outputs": {}}).json() == {"receipt": 2}
    gateway.drain()
    receipt = gateway.door.receipt("job.w.j", 1)
    assert receipt is not None
    assert receipt.forwarded
    assert play_server.blobs[digest] == b"weights"


def test_other_bytes_than_the_digest_says(gateway: PlayPlace, client: AppClient) -> None:
    job = Job(gateway, client)
    assert code(job.ask("PUT", f"/v1/blobs/{digest_of(b'a')}", content=b"b")) == "DigestMismatch"
    assert code(job.ask("PUT", "/v1/blobs/sha256:..", content=b"b")) in ("BadValue", "DigestMismatch")
    assert code(job.ask("GET", "/v1/blobs/sha256:..")) == "BadGrant"


def test_what_is_no_route_has_the_one_shape_of_errors(client: AppClient) -> None:
    assert (code(client.get("/v1/blobs/..%2f..%2fetc")), code(client.get("/nothing"))) == ("NotFound", "NotFound")
    assert client.request("DELETE", "/v1/outputs").status_code == 405


@pytest.mark.parametrize(
    ("body", "status", "wanted"),
    [
        (b"x" * 2000, 413, "LimitExceeded"),
        (b"{", 400, "BadRequest"),
        (b"[]", 400, "BadRequest"),
        (b'{"exit_code": "many"}', 400, "BadRequest"),
        (b"[" * 900, 400, "BadRequest"),
    ],
)
def test_bodies_that_cannot_be(gateway: PlayPlace, client: AppClient, body: bytes, status: int, wanted: str) -> None:
    answer = Job(gateway, client).ask("POST", "/v1/complete", content=body)
    assert (answer.status_code, code(answer)) == (status, wanted)
    assert answer.json()["request_id"] == "req1"


@pytest.mark.parametrize("path", ["../../x", "/etc/x", "a/../b"])
def test_paths_that_leave_their_folder(gateway: PlayPlace, client: AppClient, path: str) -> None:
    job = Job(gateway, client)
    assert code(job.ask("POST", "/v1/logs", params={"path": path, "offset": 0}, content=b"x")) == "PathEscapes"
    digest = digest_of(b"w")
    job.ask("PUT", f"/v1/blobs/{digest}", content=b"w")
    tree = {"entries": [{"path": path, "digest": digest, "size": 1}]}
    assert code(job.ask("POST", "/v1/outputs", json={"name": "o", "tree": tree})) == "PathEscapes"


def test_mlflow_calls_and_files(gateway: PlayPlace, client: AppClient, play_server: PlayServer) -> None:
    job = Job(gateway, client)
    body = {"run_id": "a" * 32, "key": "acc", "value": 1, "timestamp": 1, "step": 0}
    assert job.ask("POST", "/mlflow/api/2.0/mlflow/runs/log-metric", json=body).json() == {}
    path = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/1/{'a' * 32}/artifacts/a%20b.txt"
    assert job.ask("PUT", path, content=b"x" * 5000).json() == {}, "files may be larger than bodies"
    gateway.drain()
    calls = play_server.items("mlflow")
    assert [call["path"].rsplit("/", 1)[-1] for call in calls] == ["log-metric", "a%20b.txt"]


def test_mlflow_refusals_have_mlflows_shape(gateway: PlayPlace, client: AppClient) -> None:
    answer = client.get("/mlflow/api/2.0/mlflow/runs/get")
    assert (answer.status_code, "error_code" in answer.json()) == (401, True)
    large = Job(gateway, client).ask("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", content=b"x" * 2000)
    assert (large.status_code, "error_code" in large.json()) == (413, True)


def test_an_older_attempt_is_shut_out(gateway: PlayPlace, client: AppClient) -> None:
    job = Job(gateway, client)
    gateway.door.admit("job.w.j", 2, gateway.server.grant())
    assert job.ask("POST", "/v1/logs?path=a.txt&offset=0", content=b"x").status_code == 401


def test_work_may_write_only_what_its_grant_says(gateway: PlayPlace, client: AppClient) -> None:
    job = Job(gateway, client, writes=())
    assert code(job.ask("POST", "/v1/logs?path=a.txt&offset=0", content=b"x")) == "BadGrant"
    assert code(job.ask("POST", "/v1/outputs", json={"name": "o", "tree": {"entries": []}})) == "BadGrant"
