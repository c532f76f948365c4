"""The door on 127.0.0.1 that scoring scripts post their records to."""

import base64
import http.client
import json
import socket

import pytest

from collector_play import TOLD, Taking
from ferryml.runner.modeldata import PATH, ModelData
from ferryml.runner.modelrecords import MAX_BODY, PREFIX, Records, Target

HEADERS = {"Content-Type": "application/json", "CE-Type": PREFIX + "model_inputs", "trace-id": "a1"}
SHOWN = "Basic " + base64.b64encode(b"r:secret").decode()


class Door:
    def __init__(self, most_bytes=1 << 20, every_s=0):
        self.gateway = Taking()
        self.records = Records(self.gateway, "pod", every_s, most_bytes)
        who = lambda shown: Target(TOLD) if shown == SHOWN else None  # noqa: E731  a sentence of its own says less
        self.door = ModelData(socket.create_server(("127.0.0.1", 0)), who, self.records, lambda: 1_772_600_000.0)

    def ask(self, verb="POST", path=PATH, body=b"[1]", **headers):
        line = http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=5)
        try:
            line.request(verb, path, body, {"Authorization": SHOWN, **HEADERS, **headers})
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def lines(self):
        self.records.ship(force=True)
        return [json.loads(line) for _, _, lines in self.gateway.batches for line in lines.splitlines()]


@pytest.fixture
def door():
    made = Door()
    yield made
    made.door.close()


def test_a_record_is_taken_under_the_span_that_it_came_in(door):
    assert door.ask()[0] == 200
    assert [line["data"] for line in door.lines()] == [[1]]
    ((key, _, _),) = door.gateway.batches
    assert key == ("endpoint.w.e", "blue", "model_inputs", "2026/03/04/04")


def test_strangers_and_unknown_collections_hear_no(door):
    assert door.ask(Authorization="Basic x")[0] == 401
    status, said = door.ask(**{"CE-Type": PREFIX + "other"})
    assert (status, b"no such collection" in said) == (404, True)
    assert [door.ask(verb)[0] for verb in ("GET", "PUT", "DELETE")] == [404] * 3
    assert door.ask(path="/other")[0] == 404
    assert door.lines() == []


def test_a_record_that_is_too_large_is_known_and_not_kept(door):
    assert door.ask(body=b"1" * (MAX_BODY + 1))[0] == 200
    assert door.ask(body=b"2")[0] == 200
    assert [line["data"] for line in door.lines()] == [None, 2]


def test_who_waits_for_room_is_told_at_once():
    door = Door(most_bytes=10)
    try:
        status, said = door.ask()
    finally:
        door.door.close()
    assert (status, b"too many" in said) == (429, True)
    assert door.records.dropped == 1


@pytest.mark.parametrize("sent", [
    b"POST /modeldata/log HTTP/1.1\r\n\r\n",
    b"POST /modeldata/log HTTP/1.1\r\nContent-Length: -4\r\n\r\n",
    b"POST /modeldata/log HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
    b"nonsense\r\n\r\n",
])  # fmt: skip
def test_what_is_no_request_ends_its_connection_and_nothing_else(door, sent):
    with socket.create_connection(("127.0.0.1", door.door.port), timeout=5) as line:
        line.sendall(sent)
        answer = b""
        while piece := line.recv(4096):
            answer += piece
    assert b" 4" in answer[:40] or b"code: 400" in answer
    assert door.ask()[0] == 200


def test_one_connection_carries_many(door):
    line = http.client.HTTPConnection("127.0.0.1", door.door.port, timeout=5)
    for number in range(3):
        line.request("POST", PATH, str(number).encode(), {"Authorization": SHOWN, **HEADERS})
        assert line.getresponse().read()
    line.close()
    assert [record["data"] for record in door.lines()] == [0, 1, 2]
