"""Ranges of bytes, inside and outside."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.server.streams import answer


def part(wanted):
    spans = []
    made = answer(10, wanted, lambda start, end: iter(spans.append((start, end)) or [b""]))
    return made.status_code, spans[0], made.headers.get("Content-Range")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, (200, (0, 10), None)),
        ("bytes=0-3", (206, (0, 4), "bytes 0-3/10")),
        ("bytes=4-", (206, (4, 10), "bytes 4-9/10")),
        ("bytes=4-99", (206, (4, 10), "bytes 4-9/10")),
    ],
)
def test_parts(wanted, expected):
    assert part(wanted) == expected


@pytest.mark.parametrize(
    "wanted", ["bytes=10-", "bytes=5-4", "bytes=-3", "lines=1-2", "", "bytes=1-2,4-5", "bytes=" + "9" * 50]
)
def test_ranges_outside_are_refused(wanted):
    with pytest.raises(Refused):
        part(wanted)


def test_heads_have_no_body():
    assert answer(10, None, lambda start, end: iter([b"x"]), head=True).body == b""
