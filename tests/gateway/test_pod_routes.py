"""What pods say beside what every job may: bounded, and only in their own name."""

from __future__ import annotations

import hashlib

import httpx

from cluster_gateway_play import PREFIX, SYSTEM, PlayClusterGateway


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


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


def test_a_build_fetches_its_own_folder_and_nothing_else(pods_gateway: PlayClusterGateway) -> None:
    """It comes under the grant of the job that waits for it."""
    own, other = (pods_gateway.server.keep(data) for data in (b"mine", b"not mine"))
    grant = pods_gateway.server.grant(reads=(own, other))
    uid = f"image.{own.removeprefix('sha256:')}.k1"
    answer = pods_gateway.admit(prefix="build-k1-", uid=uid, kind="build", namespace=SYSTEM, grant=grant)
    assert answer.status_code == 200
    pod = pods_gateway.pod("build-k1-0-x", SYSTEM)
    assert pod.get(f"/v1/blobs/{own}").content == b"mine"
    assert code(pod.get(f"/v1/blobs/{other}")) == (403, "BadGrant")
    said = {"digest": own, "lock": "a==1\n"}
    assert code(pod.post("/v1/environment", json=said)) == (403, "Forbidden")
    assert code(pod.post("/v1/outputs", json={"name": "o", "tree": {"entries": []}})) == (403, "BadGrant")
    assert pod.post("/mlflow/api/2.0/mlflow/runs/create", json={}).status_code == 403
    assert code(pods_gateway.admit(prefix="build-k2-", uid="job.w.j", kind="build")) == (400, "BadRequest")


def test_what_was_built_is_the_agents_word_alone(pods_gateway: PlayClusterGateway) -> None:
    key, image = "ab" * 16, "r.local:5000/ferry/e@sha256:" + "d" * 64
    pods_gateway.admit()
    assert pods_gateway.pod().post("/admin/v1/image", json={"key": key, "image": image}).status_code == 401
    assert pods_gateway.agent.get("/admin/v1/image", params={"key": key}).json() == {"image": ""}
    for wrong in ("r.local/e:latest", "r.local/e@sha256:1", "r local/e@sha256:" + "d" * 64):
        assert code(pods_gateway.agent.post("/admin/v1/image", json={"key": key, "image": wrong})) == (
            400,
            "BadRequest",
        )
    assert pods_gateway.agent.post("/admin/v1/image", json={"key": key, "image": image}).status_code == 200
    assert pods_gateway.agent.get("/admin/v1/image", params={"key": key}).json() == {"image": image}
