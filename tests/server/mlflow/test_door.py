"""Routes and contents, decided before MLflow."""

import gzip
import json
import zlib

import pytest
from mlflow.server import app as flask_app

from ferryml.domain.errors import Forbidden, NotFound, Refused, TooLarge
from ferryml.server.mlflow.callers import Caller
from ferryml.server.mlflow.door import Door, error_body, workspace_header
from ferryml.server.mlflow.wsgi import Request

JOB, ANNA = Caller("blue", "data-scientist", "one"), Caller("blue", "data-scientist")


class Ids:
    """A guard that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[set] = []

    def own_workspace(self, workspace, ids):
        self.asked.append(set(ids))

    own_job = own_workspace


@pytest.fixture
def door() -> Door:
    return Door(flask_app, Ids(), 1000, lambda workspace: "77")


def test_browsers_routes_count_as_the_same(door):
    plain = door.route("GET", "/api/2.0/mlflow/runs/get")
    assert door.route("GET", "/ajax-api/2.0/mlflow/runs/get") == plain
    assert plain.right == "read"
    assert door.route("HEAD", "/api/2.0/mlflow/runs/get").right == "read"


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("POST", "/api/2.0/mlflow/runs/get", NotFound),
        ("GET", "/api/2.0/mlflow/runs/get/", NotFound),
        ("GET", "/api/2.0//mlflow/runs/get", NotFound),
        ("GET", "/api/2.0/mlflow/../mlflow/runs/get", NotFound),
        ("OPTIONS", "/api/2.0/mlflow/runs/get", Forbidden),
        ("DELETE", "/api/2.0/mlflow/registered-models/delete", Forbidden),
        ("GET", "/v1/traces", NotFound),
    ],
)
def test_unknown_and_refused_routes(door, method, path, error):
    with pytest.raises(error):
        door.route(method, path)


def test_refusals_say_what_to_do(door):
    with pytest.raises(Forbidden, match="registered-models/delete") as refusal:
        door.route("DELETE", "/api/2.0/mlflow/registered-models/delete")
    body = error_body(refusal.value)
    assert body["error_code"] == "PERMISSION_DENIED"
    assert "ferry model archive" in body["message"]


def test_what_a_job_makes_is_marked_as_its_own(door):
    route = door.route("POST", "/api/2.0/mlflow/runs/create")
    sent = json.dumps({"experiment_id": "1", "tags": [{"key": "a", "value": "b"}]}).encode()
    passed = json.loads(door.admit(JOB, route, Request("POST", "/x", body=sent)).body)
    assert passed["tags"] == [{"key": "a", "value": "b"}, {"key": "ferry.child_of", "value": "one"}]
    assert door.admit(ANNA, route, Request("POST", "/x", body=sent)).body == sent


@pytest.mark.parametrize(
    "body",
    [
        {"tags": [{"key": "ferry.job", "value": "x"}]},
        {"tags": {"ferry.job": "x"}},
        {"key": "ferry.anything"},
        {"deep": [{"tags": [{"key": "ferry.x"}]}]},
    ],
)
def test_our_tags_are_ours(door, body):
    route = door.route("POST", "/api/2.0/mlflow/runs/set-tag")
    for raw in (json.dumps(body), json.dumps(json.dumps(body))):
        with pytest.raises(Forbidden):
            door.admit(ANNA, route, Request("POST", "/x", body=raw.encode()))


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[" * 900, b"\xff\xfe", b"null", b"[]", b'"x"', b"7"])
def test_bodies_that_are_no_objects_are_mlflows_to_refuse(door, body):
    route = door.route("POST", "/api/2.0/mlflow/runs/create")
    assert door.admit(JOB, route, Request("POST", "/x", body=body)).body == body


def test_ids_of_path_query_and_body_are_all_looked_at(door):
    route = door.route("POST", "/api/2.0/mlflow/logged-models/m-1/params")
    body = json.dumps({"a": [{"sourceRunId": "r1"}], "experimentIds": ["1", 2], "trace": {"trace_id": "t"}})
    door.admit(ANNA, route, Request("POST", "/x", "run_id=r2&run_id=r3", body=body.encode()))
    (asked,) = door._guard.asked
    assert asked == {
        ("model", "m-1"), ("run", "r1"), ("run", "r2"), ("run", "r3"), ("experiment", "1"), ("experiment", "2"),
        ("trace", "t"),
    }  # fmt: skip


def test_spans_are_unpacked_within_the_limit(door):
    route = door.route("POST", "/v1/traces")
    for pack, name in ((gzip.compress, "gzip"), (zlib.compress, "deflate")):
        headers = {"content-encoding": name, "x-mlflow-experiment-id": "1"}
        passed = door.admit(ANNA, route, Request("POST", "/v1/traces", headers=headers, body=pack(b"x" * 1000)))
        assert (passed.body, "content-encoding" in passed.headers) == (b"x" * 1000, False)
        with pytest.raises(TooLarge):
            door.admit(ANNA, route, Request("POST", "/v1/traces", headers=headers, body=pack(b"x" * 1001)))
        with pytest.raises(Refused):
            door.admit(ANNA, route, Request("POST", "/v1/traces", headers=headers, body=b"?"))
    with pytest.raises(Refused):
        door.admit(ANNA, route, Request("POST", "/v1/traces", headers={"content-encoding": "br"}, body=b"?"))


def test_the_workspace_header_names_ones_own_or_nothing():
    red = Caller("Red_Team", "owner")
    for named in ("", " ", "Red_Team", "x--v7ef73lgp6ixuxx26cmfa4mvv7bs54zw"):
        workspace_header(red, {"x-mlflow-workspace": named})
    with pytest.raises(Forbidden):
        workspace_header(red, {"x-mlflow-workspace": "blue"})


def test_experiment_zero_is_ones_own_default(door):
    route = door.route("POST", "/api/2.0/mlflow/runs/create")
    passed = door.admit(ANNA, route, Request("POST", "/x", body=b'{"experiment_id": "0", "start_time": 0}'))
    assert json.loads(passed.body) == {"experiment_id": "77", "start_time": 0}
    default = Caller("default", "data-scientist")
    assert door.admit(default, route, Request("POST", "/x", body=b'{"experiment_id": "0"}')).body != passed.body
    spans = door.route("POST", "/v1/traces")
    sent = Request("POST", "/v1/traces", headers={"x-mlflow-experiment-id": "0"}, body=b"x")
    assert door.admit(ANNA, spans, sent).headers["x-mlflow-experiment-id"] == "77"
