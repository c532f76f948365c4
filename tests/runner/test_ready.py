import socket

from ferryml.runner.ready import ready


def test_it_is_ready_when_the_door_is_open(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as door:
        monkeypatch.setenv("FERRY_DOOR_PORT", str(door.getsockname()[1]))
        assert ready() == 0
    assert ready() == 1
