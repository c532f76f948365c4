"""The blocking client."""

import pytest

from ferryml import Client
from ferryml.domain.errors import Forbidden, Unauthenticated, Unavailable
from ferryml.sdk.client import stdout_bytes
from ferryml.sdk.flow import Call, ask
from ferryml.sdk.sending import Target


def test_errors_come_as_the_server_said_them(desk):
    with desk.client("fry_wrong_token") as client, pytest.raises(Unauthenticated) as caught:
        client.whoami()
    assert caught.value.code == "Unauthenticated"
    with desk.client(desk.token("reader")) as client, pytest.raises(Forbidden):
        client.jobs.create({"command": "true", "compute": "c1"})


def test_calls_can_be_heard(desk):
    heard = []
    with Client(target=desk.target, trace=heard.append) as client:
        client.version()
    assert heard == ["GET /api/v1/version -> 200"]


def test_an_error_is_raised_inside_the_flow(free_port):
    def flow():
        try:
            yield from ask(Call("POST", "/x", repeatable=False))
        except Unavailable as error:
            return error.code

    with Client(target=Target(f"http://127.0.0.1:{free_port}")) as client:
        assert client.run(flow()) == "ServerUnreachable"


def test_environment_says_where(desk, alone, monkeypatch):
    monkeypatch.setenv("FERRY_URL", desk.target.url)
    monkeypatch.setenv("FERRY_TOKEN", desk.target.token)
    with Client() as client:
        assert (client.workspace, client.whoami()["role"]) == ("default", "owner")


def test_log_bytes_go_out_as_they_are(capfdbinary):
    stdout_bytes(b"\xff\x00\n")
    assert capfdbinary.readouterr().out == b"\xff\x00\n"
