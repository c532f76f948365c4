"""What is recorded, where, and what never is."""

import json
from datetime import UTC, datetime

import pytest

from ferryml.router.haproxy import records
from ferryml.router.haproxy.copies import Copy
from ferryml.router.haproxy.records import Spool
from router_play import until
from router_tables import a_revision, an_endpoint

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
ID = "aaaaaaaaaa-0123456789abcdef"
HEADERS = [("content-type", "application/json"), ("cookie", "secret"), ("x-api-key", "secret")]


def a_copy(body: bytes | None = b"[1]", answer: bytes | None = b"2", query: str = "a=1") -> Copy:
    return Copy(ID, "r.digits.aaaaaaaaaa", False, True, "POST", query, HEADERS, body, answer)


def put(spool: Spool, copy: Copy) -> None:
    spool.put(an_endpoint(), a_revision("a"), copy)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path, "router-0", lambda: NOW, 10_000)


def lines(folder, collection: str) -> list[dict]:
    file = folder / "endpoint.ws.digits" / "dep-a" / collection / "2026/03/04/05" / "router-0.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_request_and_answer_are_cloud_events_that_belong_together(spool, tmp_path):
    put(spool, a_copy())
    (request,), (response,) = lines(tmp_path, "request"), lines(tmp_path, "response")
    assert (request["specversion"], request["type"]) == ("1.0", "azureml.inference.request")
    assert (request["data"], response["data"]) == ([1], 2)
    assert request["correlationid"] == response["correlationid"] == ID
    assert (request["method"], request["path"]) == ("POST", "/score?a=1")
    assert request["time"] == "2026-03-04T05:06:00+00:00"
    assert request["id"] != response["id"]


def test_headers_that_may_hold_secrets_are_not_recorded(spool, tmp_path):
    put(spool, a_copy())
    assert lines(tmp_path, "request")[0]["headers"] == {"content-type": "application/json"}
    assert "secret" not in "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))


def test_bytes_and_what_was_too_large(spool, tmp_path):
    put(spool, a_copy(body=b"\xff\x00", answer=None))
    assert lines(tmp_path, "request")[0]["data_base64"] == "/wA="
    assert lines(tmp_path, "response")[0]["data"] is None


def test_only_what_was_asked_for_is_recorded(spool, tmp_path):
    asked = {"collections": ("response",), "rolling": "day", "model": "model:net:7"}
    spool.put(an_endpoint(), a_revision("a", **asked), a_copy())
    (file,) = tmp_path.rglob("*.jsonl")
    assert file.relative_to(tmp_path / "endpoint.ws.digits").parts == (
        "dep-a", "response", "2026", "03", "04", "router-0.jsonl",
    )  # fmt: skip
    assert json.loads(file.read_text())["modelversion"] == "7"


def test_headers_are_recorded_where_somebody_wants_them(spool, tmp_path):
    copy = Copy(ID, "", False, True, "POST", "", [*HEADERS, ("authorization", "Bearer k")], b"1", b"2")
    wanted = a_revision("a", collect_headers=("x-api-key", "authorization"))
    spool.put(an_endpoint(), wanted, copy)
    assert lines(tmp_path, "request")[0]["headers"] == {"content-type": "application/json", "x-api-key": "secret"}


def test_what_is_sealed_is_a_batch(spool, tmp_path):
    put(spool, a_copy())
    spool.seal(1)
    assert spool.sealed() == []
    spool.seal(0)
    batches = {batch.collection: (batch, path) for batch, path in spool.sealed()}
    batch, path = batches["request"]
    assert (batch.uid, batch.deployment, batch.partition) == ("endpoint.ws.digits", "dep-a", "2026/03/04/05")
    assert batch.path.startswith("2026/03/04/05/router-0-")
    assert json.loads(path.read_text())["data"] == [1]
    put(spool, a_copy())
    spool.seal(0)
    assert len({batch.name for batch, _ in spool.sealed()}) == 4
    (tmp_path / "else" / "where").mkdir(parents=True)
    (tmp_path / "else" / "where" / "x.batch").touch()
    assert len(spool.sealed()) == 4


def test_files_of_an_earlier_life_are_sealed_at_once(spool, tmp_path):
    put(spool, a_copy())
    next_life = Spool(tmp_path, "router-1", lambda: NOW, 10_000)
    next_life.seal(3600)
    assert len(next_life.sealed()) == 2


def test_large_files_are_sealed_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LARGE", 2000)
    spool = Spool(tmp_path, "router-0", lambda: NOW, 1_000_000)
    for _ in range(20):
        put(spool, a_copy())
    assert len(spool.sealed()) > 4
    assert all(path.stat().st_size < 4000 for path in tmp_path.rglob("*") if path.is_file())


def test_the_spool_has_an_end(spool, tmp_path):
    for _ in range(100):
        put(spool, a_copy())
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 10_000
    assert spool.dropped > 100
    assert spool.written + spool.dropped == 200


def test_a_folder_that_cannot_be_written_harms_nobody(tmp_path):
    (tmp_path / "endpoint.ws.digits").write_text("in the way")
    spool = Spool(tmp_path, "router-0", lambda: NOW, 10_000)
    put(spool, a_copy())
    assert spool.dropped == 2


async def test_a_share_of_what_haproxy_answers_is_recorded(on, tmp_path):
    play = await on()
    play.router.spool(Spool(tmp_path, "router-0", lambda: NOW, 1_000_000))
    await play.model("a" * 10, [7], collect=1.0)
    await play.model("b" * 10, 8)
    play.weights = {"a" * 10: 100}
    play.apply()
    said = await play.ask(b"[1, 2]", content_type="application/json")
    await play.ask(b"[3]", azureml_model_deployment="dep-a")
    await play.ask(b"[4]", azureml_model_deployment="dep-b")
    await until(lambda: len(lines(tmp_path, "response")) == 2)
    first, second = lines(tmp_path, "request")
    assert (first["data"], first["xrequestid"]) == ([1, 2], said.headers["x-request-id"])
    assert second["data"] == [3]
    assert lines(tmp_path, "response")[0]["data"] == [7]
    assert not (tmp_path / "endpoint.ws.digits" / "dep-b").exists()
