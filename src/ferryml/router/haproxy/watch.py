"""Ends requests that took longer than they may in total: HAProxy's own limits are of inactivity."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ferryml.router.haproxy.options import SLOWEST_BYTES_S
from ferryml.router.haproxy.shape import Shape

_LINE = re.compile(r"^(0x[0-9a-f]+): .*?\bfe=(\S+) be=(\S+) .*?\bage=(\S+)", re.M)
_AGE = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_TOTAL = re.compile(r"\breq=0x\S+ .*?\btotal=(\d+)", re.S)
_MOST_LOOKS = 200
_HEADS = 16384
_SLACK_S = 1
"""HAProxy tells ages in whole seconds."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One request under way, as `show sess` tells it."""

    key: str
    frontend: str
    backend: str
    age_s: int


def read_streams(text: str) -> Iterator[Stream]:
    """The streams in an answer to `show sess`."""
    for key, frontend, backend, age in _LINE.findall(text):
        yield Stream(key, frontend, backend, read_age(age))


def read_age(text: str) -> int:
    """Seconds of HAProxy's `1h2m3s`."""
    found = _AGE.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def limits_of(shape: Shape) -> dict[str, float]:
    """Backend -> seconds that a request may take there, waiting included, sending a large body not."""
    return {
        name: int(shape.maps["timeouts"].get(name, "5000")) / 1000 + backend.queue_ms / 1000
        for name, backend in shape.backends.items()
    }


def overdue(
    streams: Iterator[Stream], limits: dict[str, float], look: Callable[[str], str], most_bytes: int
) -> list[str]:
    """Keys of streams to be ended; `look` asks HAProxy for one stream's details and is used for old ones alone."""
    found: list[str] = []
    looks = 0
    for stream in streams:
        least = 1.0 if stream.frontend == "edge" else limits.get(stream.backend)
        if least is None or stream.age_s <= least + _SLACK_S or looks >= _MOST_LOOKS:
            continue
        looks += 1
        total = _TOTAL.search(look(stream.key))
        received = int(total[1]) if total else 0
        if stream.frontend == "edge":
            if received > most_bytes + _HEADS:
                found.append(stream.key)
        elif stream.age_s > least + _SLACK_S + received / SLOWEST_BYTES_S:
            found.append(stream.key)
    return found
