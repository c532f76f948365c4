"""Bytes pass both ways, and an end that breaks off takes the other with it."""

import contextlib
import signal
import socket
import struct
import sys

import pytest

from kubebox import relay
from kubebox.processes import Programs


@pytest.fixture
def far():
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(10)
        yield door


@pytest.fixture
def near(tmp_path, far):
    """The port of a relay to `far`."""
    programs = Programs(tmp_path, "")
    with socket.create_server(("127.0.0.1", 0)) as door:
        argv = [sys.executable, relay.__file__, str(door.fileno()), "127.0.0.1", str(far.getsockname()[1])]
        programs.start("relay", argv, pass_fds=[door.fileno()])
        port = door.getsockname()[1]
    yield port
    programs.stop("relay", signal.SIGKILL)


def test_bytes_pass_both_ways_and_an_end_is_passed_on(near, far):
    with socket.create_connection(("127.0.0.1", near), 10) as client:
        client.sendall(b"asked")
        client.shutdown(socket.SHUT_WR)
        server, _ = far.accept()
        with server:
            server.settimeout(10)
            assert server.recv(100) + server.recv(100) == b"asked"
            server.sendall(b"said")
        assert client.recv(100) + client.recv(100) == b"said"


def test_a_broken_connection_breaks_the_other(near, far):
    with socket.create_connection(("127.0.0.1", near), 10) as client:
        client.sendall(b"asked")
        server, _ = far.accept()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
