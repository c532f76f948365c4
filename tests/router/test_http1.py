"""Framing, byte by byte: one meaning or none."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.errors import Refused, TooLarge
from ferryml.router import http1


def test_a_request():
    head = http1.parse_request(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\n\r\n")
    assert (head.method, head.target, head.minor, head.get("x-a")) == ("POST", "/a?b=c", 1, "1")
    assert head.keep_alive
    assert not http1.parse_request(b"GET / HTTP/1.0\r\n\r\n").keep_alive
    assert not http1.parse_request(b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").keep_alive


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_parser(data):
    for parse in (http1.parse_request, http1.parse_response):
        with contextlib.suppress(Refused):
            parse(data + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], -1), ([("content-length", "0")], 0), ([("content-length", "12")], 12),
        ([("content-length", "12"), ("content-length", "12")], 12), ([("transfer-encoding", "Chunked")], None),
    ],
)  # fmt: skip
def test_how_long_a_body_is(headers, length):
    assert http1.body_length(headers) == length


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "1"), ("content-length", "2")], [("content-length", "1, 1")], [("content-length", "")],
        [("content-length", "1"), ("transfer-encoding", "chunked")], [("transfer-encoding", "chunked, gzip")],
        [("transfer-encoding", "identity")], [("content-length", "\u0661")],
    ],
)  # fmt: skip
def test_two_meanings_are_refused(headers):
    with pytest.raises(Refused):
        http1.body_length(headers)


def reader(data: bytes) -> asyncio.StreamReader:
    made = asyncio.StreamReader(limit=http1.MAX_HEAD_BYTES)
    made.feed_data(data)
    made.feed_eof()
    return made


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6))
def test_chunks_are_put_together(parts):
    data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    async def read() -> bytes:
        return await http1.read_body(reader(data), None, 10_000)

    assert asyncio.run(read()) == b"".join(parts)


async def test_bodies_are_bounded():
    with pytest.raises(TooLarge):
        await http1.read_body(reader(b""), 11, 10)
    with pytest.raises(TooLarge):
        await http1.read_body(reader(b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"), None, 10)
    with pytest.raises(TooLarge):
        await http1.read_rest(reader(b"x" * 11), 10)
    assert await http1.read_rest(reader(b"x" * 10), 10) == b"x" * 10


def test_what_is_written_can_be_read():
    data = http1.render(503, [("x-a", "1")], b"body", keep_alive=True)
    status, reason, headers = http1.parse_response(data[: data.index(b"body")])
    assert (status, reason) == (503, "Service Unavailable")
    assert http1.first(headers, "content-length") == "4"
