"""The agent's routes for predictions: for it alone, bounded, and nothing but endpoints."""

import pytest

from cluster_gateway_play import PlayClusterGateway

UID = "endpoint.w.e"
ONE = [UID, "a" * 10 + "-" + "0" * 16, "a" * 10, "1"]


def test_predictions_meet_labels(pods_gateway: PlayClusterGateway) -> None:
    agent = pods_gateway.agent
    for _ in range(2):
        assert agent.post("/admin/v1/predictions", json={"predictions": [ONE]}).status_code == 200
    labels = {"uid": UID, "labels": [[ONE[1], "1"], ["other", "2"]]}
    assert agent.post("/admin/v1/labels", json=labels).json() == {"matched": 1, "unmatched": 1}
    figures = {"labels": 1, "correct": 1, "predictions": 1}
    assert agent.get("/admin/v1/accuracy").json() == {UID: {"a" * 10: [figures, figures]}}
    assert agent.post("/admin/v1/predictions/forget", json={"uid": UID}).status_code == 200
    assert agent.get("/admin/v1/accuracy").json() == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("predictions", {"predictions": [["job.w.j", *ONE[1:]]]}), ("predictions", {"predictions": [ONE[:3]]}),
        ("predictions", {"predictions": [[*ONE[:3], "9" * 9000]]}), ("predictions", {"predictions": [ONE] * 5001}),
        ("predictions", []), ("labels", {"uid": UID, "labels": [["x" * 65, "1"]]}), ("labels", {"uid": UID}),
        ("labels", {"uid": "job.w.j", "labels": []}), ("predictions/forget", {"uid": ""}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_malformed_is_refused_whole(pods_gateway: PlayClusterGateway, path: str, body: object) -> None:
    said = pods_gateway.agent.post(f"/admin/v1/{path}", json=body)
    assert (said.status_code, said.json()["error"]["code"]) == (400, "BadRequest")
    assert pods_gateway.agent.get("/admin/v1/accuracy").json() == {}


def test_pods_may_not(pods_gateway: PlayClusterGateway) -> None:
    pods_gateway.admit()
    pod = pods_gateway.pod()
    for path in ("predictions", "labels", "predictions/forget"):
        assert pod.post(f"/admin/v1/{path}", json={}).status_code == 401
    assert pod.get("/admin/v1/accuracy").status_code == 401
