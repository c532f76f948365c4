"""Requests and answers for the record: CloudEvents in JSON lines, as model monitors expect them (SPEC.md 8.13).

Files lie below ENDPOINT/DEPLOYMENT/COLLECTION/yyyy/MM/dd/HH/INSTANCE.jsonl in a spool of limited size; somebody else
takes them to their datastore. What does not fit is dropped and counted: nobody waits.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ferryml.domain.routes import EndpointRoute, RevisionRoute
from ferryml.router import http1
from ferryml.router.haproxy.copies import Copy

SPECVERSION = "1.0"
AGENT = "ferry-router"
_SHOWN = frozenset({"content-type", "accept", "user-agent", "x-ms-client-request-id"})
"""Headers that are recorded; others may hold secrets."""


class Spool:
    """Appends from one thread. `instance` tells this router's files from others'."""

    def __init__(self, folder: Path, instance: str, now: Callable[[], datetime], most_bytes: int) -> None:
        self._folder, self._instance, self._now, self._most = folder, instance, now, most_bytes
        self._size: int | None = None
        self.written = self.dropped = 0

    def put(self, endpoint: EndpointRoute, revision: RevisionRoute, copy: Copy) -> None:
        """One line in `request`, one in `response`."""
        at = self._now()
        parts: tuple[tuple[str, dict[str, Any], bytes | None], ...]
        parts = (("request", _request(copy), copy.body), ("response", {}, copy.answer))
        for collection, more, body in parts:
            kind = http1.first(copy.headers, "content-type") if collection == "request" else "application/json"
            event = _event(endpoint, revision, copy, collection, at) | more | _data(body, kind)
            self._append(endpoint, revision, collection, at, json.dumps(event) + "\n")

    def _append(
        self, endpoint: EndpointRoute, revision: RevisionRoute, collection: str, at: datetime, line: str
    ) -> None:
        if self._size is None or self.written % 1000 == 0:  # others take files away
            self._size = sum(path.stat().st_size for path in self._folder.rglob("*.jsonl"))
        if self._size + len(line) > self._most:
            self.dropped += 1
            return
        path = self._folder / endpoint.name / revision.deployment / collection / f"{at:%Y/%m/%d/%H}"
        path = path / f"{self._instance}.jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            self.dropped += 1
            return
        self._size += len(line)
        self.written += 1


def _event(
    endpoint: EndpointRoute, revision: RevisionRoute, copy: Copy, collection: str, at: datetime
) -> dict[str, Any]:
    return {
        "specversion": SPECVERSION, "id": f"{copy.request_id}-{collection}",
        "source": f"/endpoints/{endpoint.name}/deployments/{revision.deployment}/revisions/{revision.revision}",
        "type": f"azureml.inference.{collection}", "time": at.isoformat(), "datacontenttype": "application/json",
        "correlationid": copy.request_id, "xrequestid": copy.request_id, "collectdatatype": "payload", "agent": AGENT,
    }  # fmt: skip


def _request(copy: Copy) -> dict[str, Any]:
    path = f"{copy.method} /score" + (f"?{copy.query}" if copy.query else "")
    return {"method": copy.method, "path": path.partition(" ")[2], "headers": dict(_shown(copy.headers))}


def _shown(headers: http1.Headers) -> http1.Headers:
    return [(key, value) for key, value in headers if key in _SHOWN]


def _data(body: bytes | None, kind: str) -> dict[str, Any]:
    if body is None:
        return {"data": None, "contentrange": "none; too large to be recorded"}
    said: dict[str, Any] = {"contentrange": f"bytes 0-{max(0, len(body) - 1)}/{len(body)}"}
    try:
        return said | {"data": json.loads(body)}
    except (ValueError, RecursionError):
        return said | {"data_base64": base64.b64encode(body).decode(), "datacontenttype": kind or "text/plain"}
