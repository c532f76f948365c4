import io

import pytest

from ferryml.runner.line import Address, Answer, Broken, quoted


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
