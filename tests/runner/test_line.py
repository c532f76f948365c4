import io
import socket

import pytest

from ferryml.runner import line
from ferryml.runner.line import Address, Answer, Broken, Line, quoted


def answer(text, verb_is_head=False):
    return Answer(io.BufferedReader(io.BytesIO(text)), verb_is_head)


def test_a_body_with_its_length():
    one = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello!")
    assert (one.status, one.keep, one.headers["x"]) == (200, True, "y")
    assert one.read_all(100) == b"hello"


def test_a_body_in_chunks():
    one = answer(b"HTTP/1.1 206 P\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: r\r\n\r\n")
    assert one.read_all(100) == b"abcde"
    assert one.keep


def test_a_body_until_the_end_of_the_connection():
    one = answer(b"HTTP/1.0 200 OK\n\nrest")
    assert one.read_all(100) == b"rest"
    assert not one.keep


def test_answers_without_a_body_and_interim_ones():
    assert answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n").status == 204
    assert answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True).read_all(9) == b""
    assert not answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").keep


@pytest.mark.parametrize(
    "text",
    [
        b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 xx OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b",
        b"HTTP/1.1 200\r\n" + b"a: b\r\n" * 300,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200,
    ],
)  # fmt: skip
def test_what_is_broken_is_said(text):
    with pytest.raises(Broken):
        answer(text).read_all(100)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:80/a/", ("127.0.0.1", 80, "/a")),
        ("http://host:8123", ("host", 8123, "")),
        ("http://[::1]:9", ("::1", 9, "")),
        ("http://host", ("host", 80, "")),
    ],
)
def test_addresses(url, parts):
    address = Address(url)
    assert (address.host, address.port, address.base) == parts


def test_queries_are_quoted():
    assert quoted("logs/a b&c=ü.log") == "logs/a%20b%26c%3D%C3%BC.log"


def test_nobody_who_does_not_take_the_connection_is_waited_for_long(monkeypatch):
    monkeypatch.setattr(line, "CONNECT_S", 0.2)
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    with deaf, socket.create_connection(deaf.getsockname()), pytest.raises(TimeoutError):
        Line(Address(f"http://127.0.0.1:{deaf.getsockname()[1]}"), 300).open()


def test_a_gateway_that_vanishes_is_noticed_while_its_answer_is_waited_for(monkeypatch):
    """What the kernel was told; that it does so is seen on clusters, where gateways are killed with their network."""
    made = []
    real = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *args, **how: made.append(real(*args, **how)) or made[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        Line(Address(f"http://127.0.0.1:{server.getsockname()[1]}"), 300).open()
    assert made[0].gettimeout() == 300
    assert made[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    for name, value in line.STEADY:
        assert made[0].getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
    made[0].close()
