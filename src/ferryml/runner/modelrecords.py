"""Records that a scoring script makes, on their way: lines of CloudEvents that wait, in bounded memory, for company.

Nobody waits for this: what does not fit is dropped and counted.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFIX = "azureml.inference."
"""Of the type of every event."""
MAX_BODY = 1 << 20
"""Bytes of one record; larger ones are recorded without their data."""
MOST_BYTES = 16 << 20
"""Of all lines that wait. The container that holds them has little memory, and a pod must not end for want of it."""
FULL_BYTES = 1 << 20
"""A batch that has so many is handed over at once."""
LOOK_S = 0.5
TOLD_S = 60.0
"""How often it is said that records were lost."""
_KNOWN = frozenset(("ce-time", "ce-type", "ce-collect-data-type", "ce-agent", "ce-x-request-id", "ce-model-version"))
if TYPE_CHECKING:
    Key = tuple[str, str, str, str]
    """uid, deployment, collection, folder of its span of time."""
    Send = Callable[[Key, str, bytes], None]
    """(key, name of the batch, its lines). Raises Later to be asked again, Never for what nobody will take."""


class Later(Exception):
    """Not now."""


class Never(Exception):
    """Refused for good."""


class Target:
    """The revision that records are of."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.uid, self.deployment = str(told["uid"]), str(told["deployment"])
        self.source = f"/endpoints/{told['endpoint']}/deployments/{told['deployment']}/revisions/{told['revision']}"
        self.model_version = str(told["model_version"])
        self.partition = str(told["partition"])
        self.collections = {str(name).lower(): str(name) for name in told["collections"]}
        """As they were declared, by their names in small letters."""


class Records:
    """Any thread may offer; one calls `work`.

    Args:
        name: first part of the names of batches, unlike that of anybody else who sends.
        every_s: how long lines wait for company.
    """

    def __init__(self, send: Send, name: str, every_s: float, most_bytes: int = MOST_BYTES) -> None:
        self._send, self._name, self._every_s, self._most = send, name, every_s, most_bytes
        self._lock = threading.Lock()
        self._open: dict[Key, tuple[float, list[bytes], int]] = {}
        """Key -> when its first line came, lines, bytes."""
        self._sealed: list[tuple[Key, str, bytes]] = []
        self._size = self._batches = 0
        self.dropped = 0
        """Records that were lost: no room, or refused for good."""

    def offer(self, key: Key, line: bytes) -> bool:
        """False when there is no room for it; returns at once."""
        with self._lock:
            if self._size + len(line) > self._most:
                self.dropped += 1
                return False
            since, lines, size = self._open.get(key) or (time.monotonic(), [], 0)
            lines.append(line)
            self._size += len(line)
            self._open[key] = (since, lines, size + len(line))
            if size + len(line) >= FULL_BYTES:
                self._seal(key)
        return True

    def ship(self, force: bool = False) -> bool:
        """Hand over what is old enough, or everything. False when somebody must be asked again."""
        with self._lock:
            now = time.monotonic()
            for key in [key for key, (since, _, _) in self._open.items() if force or now - since >= self._every_s]:
                self._seal(key)
        while self._sealed:
            key, name, lines = self._sealed[0]
            try:
                self._send(key, name, lines)
            except Later:
                return False
            except Never:
                self.dropped += lines.count(b"\n")
            with self._lock:
                self._sealed.pop(0)
                self._size -= len(lines)
        return True

    def work(self, over: threading.Event, say: Callable[[str], None]) -> None:
        """Until it is over; what is left then is tried once more."""
        told, told_at = 0, float("-inf")
        while not over.wait(LOOK_S):
            self.ship()
            if self.dropped > told and time.monotonic() - told_at >= TOLD_S:
                say(f"{self.dropped - told} records of the scoring script were dropped: the gateway did not take them")
                told, told_at = self.dropped, time.monotonic()
        self.ship(force=True)

    def _seal(self, key: Key) -> None:
        """Under the lock."""
        _, lines, _ = self._open.pop(key)
        self._batches += 1
        self._sealed.append((key, f"{self._name}-{self._batches}", b"".join(lines)))


def event_of(target: Target, headers: Mapping[str, str], body: bytes | None, now: float) -> tuple[str, bytes] | None:
    """(collection, line) of what the package posts; None for a collection that was not declared.

    Args:
        headers: names in small letters.
        body: None when it was too large.
        now: seconds since 1970.
    """
    said = headers.get("ce-type", "")
    collection = target.collections.get(said[len(PREFIX) :].lower() if said.startswith(PREFIX) else "")
    if collection is None:
        return None
    version = headers.get("ce-model-version", "")
    correlation = headers.get("ce-x-request-id", "")
    event = {
        "specversion": "1.0", "id": headers.get("trace-id", ""), "source": target.source,
        "type": PREFIX + collection, "datacontenttype": headers.get("content-type", "application/json"),
        "time": _time(headers.get("ce-time", ""), now), "correlationid": correlation, "xrequestid": correlation,
        # the package knows no version and says `default`
        "modelversion": target.model_version if version in ("", "default") else version,
        "collectdatatype": headers.get("ce-collect-data-type", ""), "agent": headers.get("ce-agent", ""),
    }  # fmt: skip
    for name, value in headers.items():
        if name.startswith("ce-") and name not in _KNOWN and name[3:].isalnum():
            event.setdefault(name[3:], value)
    event.update(_data(body, event["datacontenttype"]))
    return collection, json.dumps(event).encode() + b"\n"


def folder_at(target: Target, now: float) -> str:
    """Of the span of time that `now` lies in."""
    return time.strftime(target.partition, time.gmtime(now))


def _time(said: str, now: float) -> str:
    """The script's own word for when it was, if it is one."""
    at = float(said) if said.isascii() and said.isdigit() and len(said) <= 10 else now
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _data(body: bytes | None, kind: str) -> dict[str, Any]:
    if body is None:
        return {"data": None, "contentrange": "none; too large to be recorded"}
    said: dict[str, Any] = {"contentrange": f"bytes 0-{max(0, len(body) - 1)}/{len(body)}"}
    try:
        if kind.partition(";")[0].strip() == "application/json":
            return {**said, "data": json.loads(body)}
    except (ValueError, RecursionError):
        pass
    return {**said, "data_base64": base64.b64encode(body).decode()}
