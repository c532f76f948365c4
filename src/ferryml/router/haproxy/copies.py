"""One sampled request with its answer, as HAProxy wrote it down."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace

from ferryml.router import http1

_FLAGS = re.compile(rb"w[-cx][-r]|d-[-r]")
_OURS = frozenset({"x-ferry-route", "authorization"})


@dataclass(slots=True, frozen=True)
class Copy:
    """`body` and `answer` are None when they were too large to be handed over, or did not end."""

    request_id: str
    backend: str
    mirrored: bool
    """Drawn for the mirror."""
    recorded: bool
    """Drawn for the record. Neither: only the prediction is of interest."""
    method: str
    query: str
    headers: http1.Headers
    body: bytes | None
    answer: bytes | None

    @property
    def revision(self) -> str:
        return self.request_id.partition("-")[0]


def read_copy(line: bytes) -> Copy | None:
    """`ID BACKEND FLAGS METHOD QUERY HEADERS BODY ANSWER .`, four of them as base64; None for other lines.

    Flags: w or d for by weight or named; c drawn for the mirror, x too, but its body is too large, else -; r drawn for
    the record, else -. A line that was cut off has no body.
    """
    parts = line.split(b" ")
    if len(parts) < 3 or not _FLAGS.fullmatch(parts[2]):
        return None
    identity, backend, flags = (part.decode("latin-1") for part in parts[:3])
    mirrored, recorded = flags[1] != "-", flags[2] == "r"
    cut = Copy(identity, backend, mirrored, recorded, "POST", "", [], None, None)
    if len(parts) != 9 or parts[8] != b".":
        return cut
    try:
        answer = _unpacked(parts[7])
        if not mirrored and not recorded:
            return replace(cut, body=b"", answer=answer)
        query, headers, body = (_unpacked(part) for part in parts[4:7])
    except binascii.Error:
        return cut
    sent = None if flags[1] == "x" else body or b""
    said = (query or b"").decode("latin-1")
    method, sorted_out = parts[3].decode("latin-1"), _headers(headers or b"")
    return Copy(identity, backend, mirrored, recorded, method, said, sorted_out, sent, answer)


def request_of(copy: Copy, backend: str) -> bytes:
    """The same request for another revision, as the inner tier takes it."""
    kept = [(key, value) for key, value in copy.headers if key not in http1.HOP_BY_HOP and key not in _OURS]
    headers = [("host", "localhost"), ("x-ferry-route", f"m|{backend}"), *kept]
    target = f"/?{copy.query}" if copy.query else "/"
    return http1.render_request(copy.method, target, headers, copy.body or b"")


def _unpacked(part: bytes) -> bytes | None:
    return None if part == b"-" else base64.b64decode(part, validate=True)


def _headers(block: bytes) -> http1.Headers:
    found: http1.Headers = []
    for line in block.decode("latin-1").split("\r\n"):
        key, colon, value = line.partition(":")
        if colon:
            found.append((key.strip().lower(), value.strip()))
    return found
