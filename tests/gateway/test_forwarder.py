"""Passing on: in order, once, over cut links and servers that refuse, forget or stumble."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from ferryml.domain.errors import Unavailable
from ferryml.domain.link import MlflowCall
from ferryml.domain.orders import Tree, TreeEntry
from gateway_play import PlayPlace
from server_play import PlayServer


def an_output(gateway: PlayPlace, caller: Any, name: str = "model", data: bytes = b"weights", *more: bytes) -> None:
    entries = []
    for number, content in enumerate([data, *more]):
        digest, size = gateway.store.put([content])
        gateway.door.received(caller, digest)
        entries.append(TreeEntry(path=f"w{number}.bin", digest=digest, size=size))
    gateway.door.take_output(caller, name, Tree(entries=tuple(entries)), "uri_folder")


def test_logs_and_outputs_arrive_in_order(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    gateway.journal.append_log(caller, "a.txt", 0, b"hello ")
    gateway.journal.append_log(caller, "a.txt", None, b"world")
    an_output(gateway, caller)
    gateway.door.complete(caller, 0)
    gateway.drain()
    receipt = gateway.door.receipt(*caller.key)
    assert receipt is not None
    assert receipt.forwarded
    assert play_server.logs() == {"a.txt": b"hello world"}
    assert play_server.items("output")[0]["name"] == "model"
    assert b"weights" in play_server.blobs.values()


def test_files_are_sent_once_for_each_workspace(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    an_output(gateway, caller, "one")
    an_output(gateway, caller, "two")
    gateway.drain()
    started = [r for r in play_server.requests if r.url.path == "/gateway/v1/uploads"]
    assert len(started) == 2, "one file and one manifest"


def test_a_broken_upload_goes_on_where_it_stopped(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    an_output(gateway, caller, data=b"x" * (9 << 20))
    parts = []

    def cut(request: Request) -> Response | None:
        if request.method == "PATCH":
            parts.append(int(request.headers["upload-offset"]))
            if parts.count(8 << 20) == 1 and parts[-1]:
                return Response(status_code=503)
        return None

    play_server.fault = cut
    with pytest.raises(Unavailable):
        gateway.forwarder.step()
    gateway.drain()
    assert [offset for offset in parts if offset] == [8 << 20, 8 << 20]


def test_no_upload_goes_on_after_its_round(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    an_output(gateway, caller, "model", b"0", b"1", b"2")
    seen: list[str] = []

    def first_is_lost(request: Request) -> Response | None:
        seen.append(request.url.path.rpartition("/")[2])
        return Response(status_code=503) if len(seen) == 1 else None

    play_server.fault = first_is_lost
    with pytest.raises(Unavailable):
        gateway.forwarder.step()
    assert seen.count("finish") == seen.count("uploads") - 1
    gateway.drain()


def test_a_lost_answer_repeats_nothing(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    gateway.journal.append_log(caller, "a.txt", 0, b"once")
    seen: list[Request] = []

    def lost(request: Request) -> Response | None:
        seen.append(request)
        return Response(status_code=502) if len(seen) == 2 else None

    play_server.fault = lost
    with pytest.raises(Unavailable):
        gateway.forwarder.step()
    gateway.drain()
    assert play_server.logs() == {"a.txt": b"once"}


def test_a_dead_server_loses_nothing_and_is_believed_down(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    gateway.journal.append_log(caller, "a.txt", 0, b"kept")
    play_server.fault = lambda request: Response(status_code=503)
    with pytest.raises(Unavailable):
        gateway.forwarder.step()
    gateway.forwarder.heard(False)
    assert not gateway.forwarder.up
    assert not gateway.forwarder.drained(*caller.key, timeout_s=5)
    play_server.fault = lambda request: None
    gateway.drain()
    assert gateway.forwarder.up
    assert gateway.forwarder.drained(*caller.key, timeout_s=5)


def test_a_refused_entry_does_not_stop_those_after_it(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    for number in range(3):
        gateway.journal.append_log(caller, f"{number}.txt", 0, b"x")
    error = {"code": "ResidencyViolation", "message": "bound"}
    play_server.refuse = lambda entry: error if entry["item"].get("path") == "1.txt" else None
    gateway.door.complete(caller, 0)
    gateway.drain()
    receipt = gateway.door.receipt(*caller.key)
    assert receipt is not None
    assert receipt.refused == ("ResidencyViolation: bound",)
    assert set(play_server.logs()) == {"0.txt", "2.txt"}


def test_one_entry_that_spoils_the_batch_is_found(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    for number in range(5):
        gateway.journal.append_log(caller, f"{number}.txt", 0, b"x")
    play_server.spoiled = b'"3.txt"'
    gateway.drain()
    assert set(play_server.logs()) == {"0.txt", "1.txt", "2.txt", "4.txt"}


def test_an_output_that_is_too_large_is_lost_in_words(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    an_output(gateway, caller)
    gateway.journal.append_log(caller, "a.txt", 0, b"x")
    gateway.door.complete(caller, 0)
    body = b'{"error": {"code": "UploadTooLarge", "message": "9 GB"}}'
    play_server.fault = lambda r: Response(body, 413) if r.url.path.endswith("uploads") else None
    gateway.drain()
    receipt = gateway.door.receipt(*caller.key)
    assert receipt is not None
    assert receipt.lost_outputs == ("output model: UploadTooLarge: 9 GB",)
    assert "a.txt" in play_server.logs()


def test_work_that_the_server_does_not_know_waits_and_lets_others_pass(
    gateway: PlayPlace, play_server: PlayServer
) -> None:
    lost, known = gateway.admit("job.w.a"), gateway.admit("job.w.b")
    gateway.journal.append_log(lost, "a.txt", 0, b"x")
    gateway.journal.append_log(known, "b.txt", 0, b"x")
    play_server.unknown = {"job.w.a"}
    gateway.forwarder.step()
    assert gateway.journal.streams_waiting() == [("job.w.a", 1)]
    assert gateway.forwarder.step() == 0, "put off"
    assert "b.txt" in play_server.logs()


def test_bound_outputs_are_told_and_their_bytes_stay(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit(zones=("eu",), release=("logs",))
    an_output(gateway, caller)
    gateway.drain()
    assert play_server.items("output")[0]["bound"] is True
    assert play_server.blobs == {}


def test_the_thread_forwards_by_itself(gateway: PlayPlace, play_server: PlayServer) -> None:
    gateway.forwarder.start()
    caller = gateway.admit()
    gateway.journal.append_log(caller, "a.txt", 0, b"x")
    assert gateway.forwarder.drained(*caller.key, timeout_s=5)
    assert play_server.logs() == {"a.txt": b"x"}


def test_metrics_travel_together_and_a_spoiled_batch_falls_apart(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit()
    for number in range(4):
        body = {"run_id": "a" * 32, "key": f"k{number}", "value": 1, "timestamp": 1, "step": 0}
        data = base64.b64encode(json.dumps(body).encode()).decode()
        call = MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-metric", body=data)
        gateway.journal.append(*caller.key, call)
    gateway.door.complete(caller, 0)

    def spoiled(entry: dict[str, Any]) -> dict[str, Any] | None:
        body = base64.b64decode(entry["item"]["body"])
        return {"code": "BadRequest", "message": "k2 is no name"} if b"k2" in body else None

    play_server.refuse = spoiled
    gateway.forwarder.step()
    receipt = gateway.door.receipt(*caller.key)
    assert receipt is not None
    assert not receipt.forwarded, "the parts are still to be said"
    gateway.drain()
    receipt = gateway.door.receipt(*caller.key)
    assert receipt is not None
    assert receipt.forwarded
    assert receipt.refused == ("BadRequest: k2 is no name",)
    keys = [json.loads(base64.b64decode(item["body"]))["key"] for item in play_server.items("mlflow")]
    assert keys == ["k0", "k1", "k3"]
