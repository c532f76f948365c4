"""Lines of several workers come whole and once."""

import socket
import threading

import pytest

from ferryml.router.haproxy.ring import RingReader
from router_load import eventually


class Workers:
    """Stands in for command sockets; each connection is handed to the test."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()

    def accept(self, pid: int, along: bytes = b"") -> tuple[socket.socket, bytes]:
        self._server.settimeout(5)
        connection, _ = self._server.accept()
        command = connection.recv(200)
        connection.sendall(b"Name: HAProxy\nPid: %d\nUptime: 0d\n\n%b" % (pid, along))
        return connection, command

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def workers(tmp_path):
    made = Workers(str(tmp_path / "admin.sock"))
    yield made
    made.close()


@pytest.fixture
def reader(workers):
    lines: list[bytes] = []
    made = RingReader(workers.path, {"events": lines.extend})
    made.lines = lines
    made.start()
    yield made
    made.stop()


def follow(reader, workers, pid: int, from_start: bool = True, along: bytes = b""):
    thread = threading.Thread(target=reader.follow, args=(pid, from_start))
    thread.start()
    connection, command = workers.accept(pid, along)
    thread.join(5)
    return connection, command


def test_lines_come_whole(reader, workers):
    connection, command = follow(reader, workers, 1)
    assert command == b"show info; show events events -w\n"
    for part in (b"on", b"e\ntw", b"o\n", b"three"):
        connection.sendall(part)
    eventually(lambda: reader.lines == [b"one", b"two"])
    connection.sendall(b"\n")
    eventually(lambda: reader.lines[-1] == b"three")
    connection.close()


def test_lines_that_come_along_with_the_name_wait_for_no_others(reader, workers):
    connection, _ = follow(reader, workers, 1, along=b"one\ntw")
    eventually(lambda: reader.lines == [b"one"])
    connection.sendall(b"o\n")
    eventually(lambda: reader.lines == [b"one", b"two"])
    connection.close()


def test_one_that_was_running_is_read_from_now_on(reader, workers):
    connection, command = follow(reader, workers, 1, from_start=False)
    assert command == b"show info; show events events -w -n\n"
    connection.close()


def test_workers_come_and_go(reader, workers):
    one, _ = follow(reader, workers, 1)
    two, _ = follow(reader, workers, 2)
    assert reader.followed() == {1, 2}
    one.sendall(b"from one\n")
    two.sendall(b"from two\n")
    eventually(lambda: sorted(reader.lines) == [b"from one", b"from two"])
    one.close()
    two.close()
    eventually(lambda: reader.followed() == set())


def test_one_that_leaves_is_read_to_its_end(reader, workers):
    connection, _ = follow(reader, workers, 1)
    for _ in range(2):
        reader.leave(1)
    assert connection.recv(10) == b"", "HAProxy ends after the last line when it is told so"
    connection.sendall(b"last\n")
    connection.close()
    eventually(lambda: reader.followed() == set())
    assert reader.lines == [b"last"]


def test_another_worker_is_not_taken_for_the_one_that_was_meant(reader, workers):
    refused: list[OSError] = []

    def try_it() -> None:
        try:
            reader.follow(2, True)
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=try_it)
    thread.start()
    connection, _ = workers.accept(1)
    thread.join(5)
    assert refused
    assert connection.recv(10) == b""
    assert reader.followed() == set()
    connection.close()


def test_a_flood_without_line_ends_is_let_go(reader, workers):
    connection, _ = follow(reader, workers, 1)
    for _ in range(6):
        connection.sendall(b"x" * 1024**2)
    connection.sendall(b"\nnext\n")
    eventually(lambda: reader.lines and reader.lines[-1] == b"next")
    assert sum(map(len, reader.lines)) < 6 * 1024**2
    connection.close()
