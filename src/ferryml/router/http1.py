"""HTTP/1.1 as the router speaks it: strict about framing, so that nobody smuggles a request past the keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from ferryml.domain.errors import Refused, TooLarge

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "proxy-connection", "content-length", "host", "expect"}
)  # fmt: skip

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REQUEST = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]{1,8192}) HTTP/1\.([01])")
_STATUS = re.compile(r"HTTP/1\.[01] ([1-5][0-9][0-9])(?: (.*))?")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")

Headers = list[tuple[str, str]]

REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True, frozen=True)
class Head:
    """A request's first part; header names are in lower case."""

    method: str
    target: str
    minor: int
    headers: Headers

    def get(self, name: str) -> str:
        """The header's first value; empty when absent."""
        return first(self.headers, name)

    @property
    def keep_alive(self) -> bool:
        said = self.get("connection").lower()
        return "close" not in said if self.minor == 1 else "keep-alive" in said


def first(headers: Headers, name: str) -> str:
    """First value of a header (name in lower case); empty when absent."""
    return next((value for key, value in headers if key == name), "")


def parse_request(data: bytes) -> Head:
    """Raises Refused (`BadRequest`) for anything that is not plain HTTP/1.1."""
    line, headers = _split(data)
    found = _REQUEST.fullmatch(line)
    if not found:
        raise Refused("BadRequest", "the request line is not HTTP/1.1")
    return Head(found[1], found[2], int(found[3]), headers)


def parse_response(data: bytes) -> tuple[int, str, Headers]:
    """(status, reason, headers); raises Refused (`BadRequest`)."""
    line, headers = _split(data)
    found = _STATUS.fullmatch(line)
    if not found:
        raise Refused("BadRequest", "the model's program did not answer in HTTP/1.1")
    return int(found[1]), found[2] or "", headers


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Bytes up to the empty line; empty when the peer closed before the first one. Raises TooLarge."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise TooLarge("LimitExceeded", f"headers exceed {MAX_HEAD_BYTES} bytes", details={"http": 431}) from error
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise
        return b""


def body_length(headers: Headers) -> int | None:
    """Bytes of the body; None for chunked, -1 when nothing is said. Raises Refused for two meanings at once."""
    codings = [value.strip().lower() for key, value in headers if key == "transfer-encoding"]
    lengths = {value.strip() for key, value in headers if key == "content-length"}
    if codings and (lengths or codings != ["chunked"]):
        raise Refused("BadRequest", "transfer-encoding must be chunked alone, without content-length")
    if codings:
        return None
    if not lengths:
        return -1
    if len(lengths) > 1 or not _LENGTH.fullmatch(length := lengths.pop()):
        raise Refused("BadRequest", "content-length is not one number")
    return int(length)


async def read_body(reader: asyncio.StreamReader, length: int | None, limit: int) -> bytes:
    """The body as `body_length` announced it (-1 reads nothing); raises TooLarge beyond `limit` bytes."""
    if length is None:
        return await _read_chunks(reader, limit)
    if length > limit:
        raise _too_large(limit)
    return await reader.readexactly(length) if length > 0 else b""


async def read_rest(reader: asyncio.StreamReader, limit: int) -> bytes:
    """Everything until the peer closes."""
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(64 * 1024):
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def render(status: int, headers: Iterable[tuple[str, str]], body: bytes, keep_alive: bool) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{key}: {value}" for key, value in headers]
    lines += [f"content-length: {len(body)}", f"connection: {'keep-alive' if keep_alive else 'close'}", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def render_request(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """A whole request for one connection of its own."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in headers]
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _split(data: bytes) -> tuple[str, Headers]:
    lines = data.removesuffix(b"\r\n\r\n").lstrip(b"\r\n").decode("latin-1").split("\r\n")
    if len(lines) > MAX_HEADERS + 1:
        raise TooLarge("LimitExceeded", f"more than {MAX_HEADERS} headers", details={"http": 431})
    headers: Headers = []
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(key) or _BAD_VALUE.search(value):
            raise Refused("BadRequest", "a header is malformed")
        headers.append((key.lower(), value.strip(" \t")))
    return lines[0], headers


async def _read_chunks(reader: asyncio.StreamReader, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        found = _CHUNK.fullmatch(await _line(reader))
        if not found:
            raise Refused("BadRequest", "a chunk is malformed")
        length = int(found[1], 16)
        size += length
        if size > limit:
            raise _too_large(limit)
        if length == 0:
            break
        parts.append(await reader.readexactly(length))
        if await reader.readexactly(2) != b"\r\n":
            raise Refused("BadRequest", "a chunk is malformed")
    for _ in range(MAX_HEADERS):
        if await _line(reader) == b"\r\n":
            return b"".join(parts)
    raise TooLarge("LimitExceeded", "too many trailers", details={"http": 431})


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused("BadRequest", "a line is too long") from error


def _too_large(limit: int) -> TooLarge:
    return TooLarge("LimitExceeded", f"the body exceeds {limit} bytes", f"Send at most {limit} bytes in one request.")
