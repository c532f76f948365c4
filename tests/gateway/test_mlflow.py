"""The MLflow door: what is taken at once, what goes through, what is answered here while the link is down."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from starlette.responses import Response

from ferryml.domain.errors import Unavailable
from ferryml.gateway.mlflow import PROVISIONAL_TAG, Answer, Ask
from gateway_play import PlayPlace
from server_play import PlayServer

API = "api/2.0/mlflow"
RUN = "a" * 32


class Job:
    """A job that calls MLflow through the gateway."""

    def __init__(self, gateway: PlayPlace, **grant: Any) -> None:
        self.gateway = gateway
        self.caller = gateway.admit(**grant)
        self.grant = gateway.door.grant_of(self.caller)

    def post(self, route: str, **body: Any) -> Answer:
        ask = Ask("POST", f"{API}/{route}", "", "application/json", json.dumps(body).encode())
        return self.gateway.mlflow.answer(self.caller, self.grant, ask)

    def get(self, route: str, query: str = "") -> Answer:
        return self.gateway.mlflow.answer(self.caller, self.grant, Ask("GET", f"{API}/{route}", query))

    def put(self, path: str, data: bytes) -> Answer:
        blob, _ = self.gateway.store.put([data])
        self.gateway.door.received(self.caller, blob)
        ask = Ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{path}", "", "text/plain", b"", blob)
        return self.gateway.mlflow.answer(self.caller, self.grant, ask)

    def run(self, run: str = RUN) -> dict[str, Any]:
        answer = self.get("runs/get", f"run_id={run}&run_uuid={run}")
        assert answer.status == 200, answer
        return json.loads(answer.body)["run"]


def down(server: PlayServer, gateway: PlayPlace) -> None:
    server.fault = lambda request: Response(status_code=503)
    gateway.forwarder.heard(False)


def up(server: PlayServer, gateway: PlayPlace) -> None:
    server.fault = lambda request: None
    gateway.forwarder.heard(True)


def sent(server: PlayServer) -> list[tuple[str, Any]]:
    """(route, body) of each replayed call."""
    calls = server.items("mlflow")
    return [(c["path"].rsplit("/mlflow/", 1)[-1], json.loads(base64.b64decode(c["body"]) or b"null")) for c in calls]


@pytest.fixture
def job(gateway: PlayPlace, play_server: PlayServer) -> Job:
    play_server.make_run(RUN)
    made = Job(gateway)
    gateway.mlflow.fetch_bases()
    return made


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("runs/log-metric", {"key": "a", "value": 1.0, "timestamp": 1, "step": 0}),
        ("runs/log-batch", {"metrics": [{"key": "a", "value": 1.0, "timestamp": 1, "step": 0}]}),
        ("runs/log-parameter", {"key": "p", "value": "1"}),
        ("runs/set-tag", {"key": "t", "value": "1"}),
        ("runs/delete-tag", {"key": "t"}),
        ("runs/update", {"status": "FINISHED"}),
        ("runs/log-inputs", {"datasets": []}),
        ("runs/log-model", {"model_json": "{}"}),
        ("runs/outputs", {"models": []}),
    ],
)
@pytest.mark.parametrize("link", ["up", "down"])
def test_writes_to_the_own_run_are_taken_at_once(
    job: Job, play_server: PlayServer, route: str, body: dict[str, Any], link: str
) -> None:
    if link == "down":
        down(play_server, job.gateway)
    assert job.post(route, run_id=RUN, **body).status == 200
    up(play_server, job.gateway)
    job.gateway.drain()
    assert sent(play_server) == [(route, {"run_id": RUN, **body})]
    looks = [("GET", f"{API}/runs/get"), ("GET", f"{API}/experiments/get")]
    assert play_server.calls == looks, "nothing but the first look went through"


def test_reads_of_the_own_run_are_answered_while_the_link_is_down(job: Job, play_server: PlayServer) -> None:
    down(play_server, job.gateway)
    for step, value in enumerate([0.1, 0.9, 0.5]):
        job.post("runs/log-metric", run_id=RUN, key="acc", value=value, timestamp=step, step=step)
    job.post("runs/log-batch", run_id=RUN, params=[{"key": "lr", "value": "0.1"}], tags=[{"key": "t", "value": "x"}])
    job.post("runs/set-tag", run_id=RUN, key="gone", value="y")
    job.post("runs/delete-tag", run_id=RUN, key="gone")
    job.post("runs/update", run_id=RUN, status="FINISHED", end_time=5)
    run = job.run()
    assert [(m["key"], m["value"], m["step"]) for m in run["data"]["metrics"]] == [("acc", 0.5, 2)]
    assert run["data"]["params"] == [{"key": "lr", "value": "0.1"}]
    assert run["data"]["tags"] == [{"key": "t", "value": "x"}]
    assert (run["info"]["status"], run["info"]["end_time"]) == ("FINISHED", 5)
    assert run["info"]["artifact_uri"] == f"mlflow-artifacts:/1/{RUN}/artifacts"
    history = json.loads(job.get("metrics/get-history", f"run_id={RUN}&metric_key=acc").body)
    assert [metric["value"] for metric in history["metrics"]] == [0.1, 0.9, 0.5]


def test_reads_go_to_the_server_once_it_has_everything(job: Job, play_server: PlayServer) -> None:
    job.post("runs/log-metric", run_id=RUN, key="a", value=1, timestamp=1, step=0)
    job.gateway.drain()
    play_server.runs[RUN]["info"]["run_name"] = "of the server"
    assert job.run()["info"]["run_name"] == "of the server"


def test_a_changed_param_is_refused_as_mlflow_does(job: Job) -> None:
    job.post("runs/log-parameter", run_id=RUN, key="lr", value="0.1")
    assert job.post("runs/log-parameter", run_id=RUN, key="lr", value="0.1").status == 200
    changed = job.post("runs/log-parameter", run_id=RUN, key="lr", value="0.2")
    assert changed.status == 400
    assert "already logged with value='0.1'" in json.loads(changed.body)["message"]


@pytest.mark.parametrize("folder", ["1", "workspaces/default/0"])
def test_files_of_the_own_run_are_taken_at_once_and_read_back(job: Job, play_server: PlayServer, folder: str) -> None:
    down(play_server, job.gateway)
    path = f"{folder}/{RUN}/artifacts/x/plot%20one.png"
    assert job.put(path, b"PNG").status == 200
    answer = job.gateway.mlflow.answer(job.caller, job.grant, Ask("GET", f"api/2.0/mlflow-artifacts/artifacts/{path}"))
    assert answer.file is not None
    assert answer.file.read_bytes() == b"PNG"
    up(play_server, job.gateway)
    job.gateway.drain()
    call = play_server.items("mlflow")[0]
    assert call["path"].endswith("plot%20one.png")
    assert play_server.blobs[call["blob"]] == b"PNG"


def test_files_of_other_runs_go_through_and_wait_for_nothing_of_ours(job: Job, play_server: PlayServer) -> None:
    job.put(f"1/{'c' * 32}/artifacts/x.txt", b"x")
    assert play_server.calls[-1][0] == "PUT"
    assert play_server.items("mlflow") == []


def test_a_child_run_has_its_real_id_while_the_link_is_up(job: Job, play_server: PlayServer) -> None:
    job.gateway.forwarder.start()
    run = json.loads(job.post("runs/create", experiment_id="1", run_name="child", tags=[]).body)["run"]
    assert run["info"]["run_id"] in play_server.runs
    assert job.post("runs/log-metric", run_id=run["info"]["run_id"], key="a", value=1).status == 200


def test_a_child_run_made_while_the_link_is_down_is_mapped_later(job: Job, play_server: PlayServer) -> None:
    down(play_server, job.gateway)
    made = job.post("runs/create", experiment_id="1", run_name="child", start_time=3, tags=[{"key": "k", "value": "v"}])
    info = json.loads(made.body)["run"]["info"]
    provisional = info["run_id"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/1/{provisional}/artifacts"
    assert job.post("runs/log-metric", run_id=provisional, key="a", value=2, timestamp=1, step=0).status == 200
    assert job.run(provisional)["data"]["metrics"][0]["value"] == 2
    up(play_server, job.gateway)
    job.gateway.drain()
    create = play_server.items("mlflow")[0]
    assert create["provisional"] == provisional
    assert {"key": PROVISIONAL_TAG, "value": provisional} in sent(play_server)[0][1]["tags"]
    real = job.run(provisional)["info"]["run_id"]
    assert real != provisional
    assert real in play_server.runs
    through = job.post("runs/search", filter=f"run_id = '{provisional}'")
    assert real.encode() in through.body, "calls that go through use the real id"


def test_other_calls_wait_for_the_link_then_say_try_again(job: Job, play_server: PlayServer) -> None:
    down(play_server, job.gateway)
    answer = job.post("registered-models/create", name="m")
    assert (answer.status, json.loads(answer.body)["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_other_calls_come_after_all_that_was_written_before(job: Job, play_server: PlayServer) -> None:
    order: list[str] = []
    play_server.fault = lambda request: order.append(request.url.path.rsplit("/", 1)[-1])  # type: ignore[func-returns-value]
    job.gateway.forwarder.start()
    job.post("runs/log-metric", run_id=RUN, key="a", value=1)
    job.post("model-versions/create", name="m", source="models:/m-1")
    assert order.index("journal") < order.index("create")


def test_an_earlier_answer_serves_while_the_link_is_down(job: Job, play_server: PlayServer) -> None:
    first = job.get("registered-models/get", "name=m")
    down(play_server, job.gateway)
    assert job.get("registered-models/get", "name=m").body == first.body
    assert job.get("registered-models/get", "name=n").status == 503


@pytest.mark.parametrize("query", ["experiment_id=1", "experiment_name=experiment%201"])
def test_the_experiment_is_known_by_id_and_name_while_the_link_is_down(
    job: Job, play_server: PlayServer, query: str
) -> None:
    down(play_server, job.gateway)
    route = "experiments/get" if "_id" in query else "experiments/get-by-name"
    assert json.loads(job.get(route, query).body)["experiment"]["experiment_id"] == "1"
    assert job.get(route, query + "2").status == 503


def test_a_logged_model_of_this_job_may_be_written(job: Job, play_server: PlayServer) -> None:
    job.post("logged-models", experiment_id="1", name="m")
    down(play_server, job.gateway)
    assert job.put(f"1/models/m-{'b' * 32}/artifacts/MLmodel", b"flavors: {}").status == 200


def test_bound_metrics_stay_and_released_params_leave(gateway: PlayPlace, play_server: PlayServer) -> None:
    play_server.make_run(RUN)
    job = Job(gateway, zones=("eu",), release=("params",))
    gateway.mlflow.fetch_bases()
    job.post(
        "runs/log-batch", run_id=RUN, metrics=[{"key": "a", "value": 1, "timestamp": 1, "step": 0}],
        params=[{"key": "lr", "value": "0.1"}],
    )  # fmt: skip
    job.put(f"1/{RUN}/artifacts/x.txt", b"secret")
    gateway.drain()
    assert sent(play_server) == [("runs/log-batch", {"run_id": RUN, "params": [{"key": "lr", "value": "0.1"}]})]
    assert play_server.blobs == {}
    assert job.run()["data"]["metrics"][0]["value"] == 1, "the job itself still sees them"


def test_bound_models_are_not_registered_outside(gateway: PlayPlace, play_server: PlayServer) -> None:
    job = Job(gateway, zones=("eu",), release=("metrics",))
    before = list(play_server.calls)
    answer = job.post("logged-models", experiment_id="1", name="m")
    assert answer.status == 403
    assert json.loads(answer.body)["error"]["code"] == "ResidencyViolation"
    assert play_server.calls == before


def test_work_without_a_run_has_no_mlflow(gateway: PlayPlace) -> None:
    job = Job(gateway, writes=("logs",))
    assert job.post("runs/log-metric", run_id=RUN, key="a", value=1).status == 403


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"run_id": 5}', b'{"run_id": "../x"}'])
def test_nonsense_goes_to_the_server_for_its_own_words(job: Job, play_server: PlayServer, body: bytes) -> None:
    ask = Ask("POST", f"{API}/runs/log-metric", "", "application/json", body)
    assert job.gateway.mlflow.answer(job.caller, job.grant, ask).status == 200
    assert play_server.calls[-1] == ("POST", f"{API}/runs/log-metric")


def test_a_server_that_dies_in_the_middle_is_unavailable(job: Job, play_server: PlayServer) -> None:
    play_server.fault = lambda request: Response(status_code=502)
    with pytest.raises(Unavailable):
        job.gateway.mlflow._once(job.caller, Ask("GET", f"{API}/registered-models/get"))
