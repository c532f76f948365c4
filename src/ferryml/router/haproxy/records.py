"""Requests and answers for the record: CloudEvents in JSON lines, as model monitors expect them.

Files lie below UID/DEPLOYMENT/COLLECTION/yyyy/MM/dd/HH/INSTANCE.jsonl in a spool of limited size, until they are sealed
and somebody (`router/shipping.py`) has handed them to the gateway. What does not fit is dropped: nobody waits.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferryml.domain.collection import MAX_BATCH, SUFFIX, Batch, partition
from ferryml.domain.routes import EndpointRoute, RevisionRoute
from ferryml.router import http1
from ferryml.router.haproxy.copies import Copy

SPECVERSION = "1.0"
AGENT = "ferry-router"
_SHOWN = frozenset({"content-type", "accept", "user-agent", "x-ms-client-request-id"})
"""Headers that are recorded; others may hold secrets."""
_NEVER = frozenset({"authorization"})
SEALED = ".batch"
LOOK_AGAIN = 100
"""A full spool is measured anew after so many records that did not fit."""
LARGE = 1 << 20
"""Bytes of a file that is not added to any more."""


class Spool:
    """Any thread may call. `instance` tells this router's files from others'."""

    def __init__(self, folder: Path, instance: str, now: Callable[[], datetime], most_bytes: int) -> None:
        self._folder, self._instance, self._now, self._most = folder, instance, now, most_bytes
        self._size: int | None = None
        self._lock = threading.Lock()
        self._seals = 0
        self._open: dict[Path, tuple[float, int]] = {}
        """Files of this life: when their first line came, and bytes; those of an earlier life are of age."""
        self.written = self.dropped = 0

    def put(self, endpoint: EndpointRoute, revision: RevisionRoute, copy: Copy) -> None:
        """One line in `request`, one in `response`."""
        at = self._now()
        parts: tuple[tuple[str, dict[str, Any], bytes | None], ...]
        parts = (("request", _request(copy, revision), copy.body), ("response", {}, copy.answer))
        for collection, more, body in parts:
            if collection not in revision.collections:
                continue
            kind = http1.first(copy.headers, "content-type") if collection == "request" else "application/json"
            event = _event(endpoint, revision, copy, collection, at) | more | _data(body, kind)
            place = Path(endpoint.uid, revision.deployment, collection, partition(at, revision.rolling))
            with self._lock:
                self._append(self._folder / place / f"{self._instance}{SUFFIX}", json.dumps(event) + "\n")

    def seal(self, age_s: float) -> None:
        """Nothing is added to files that are older: from now on they are batches, in `sealed`."""
        now = self._now().timestamp()
        with self._lock:
            for path in sorted(self._folder.rglob(f"*{SUFFIX}")):
                if now - self._open.get(path, (0.0, 0))[0] >= age_s:
                    self._seal(path, now)

    def sealed(self) -> list[tuple[Batch, Path]]:
        """Batches that wait to be handed over, oldest first."""
        found: list[tuple[float, Path]] = []
        for path in self._folder.rglob(f"*{SEALED}"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        batches = ((_batch(path.relative_to(self._folder)), path) for _, path in sorted(found))
        return [(batch, path) for batch, path in batches if batch is not None]

    def _seal(self, path: Path, now: float) -> None:
        self._seals += 1
        self._open.pop(path, None)
        with suppress(OSError):
            path.rename(path.with_name(f"{path.stem}-{int(now * 1000):x}-{self._seals}{SEALED}"))

    def _append(self, path: Path, line: str) -> None:
        if self._size is None or self.written % 1000 == 0:  # others take files away
            self._size = _bytes_below(self._folder)
        if self._size + len(line) > self._most and self.dropped % LOOK_AGAIN == 0:
            self._size = _bytes_below(self._folder)
        if self._size + len(line) > self._most or len(line) > MAX_BATCH - LARGE:
            self.dropped += 1
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError:
            self.dropped += 1
            return
        now = self._now().timestamp()
        born, size = self._open.get(path, (now, 0))
        self._open[path] = (born, size + len(line))
        self._size += len(line)
        self.written += 1
        if size + len(line) >= LARGE:
            self._seal(path, now)


def _event(
    endpoint: EndpointRoute, revision: RevisionRoute, copy: Copy, collection: str, at: datetime
) -> dict[str, Any]:
    return {
        "specversion": SPECVERSION, "id": f"{copy.request_id}-{collection}",
        "source": f"/endpoints/{endpoint.name}/deployments/{revision.deployment}/revisions/{revision.revision}",
        "modelversion": revision.model.rpartition(":")[2],
        "type": f"azureml.inference.{collection}", "time": at.isoformat(), "datacontenttype": "application/json",
        "correlationid": copy.request_id, "xrequestid": copy.request_id, "collectdatatype": "payload", "agent": AGENT,
    }  # fmt: skip


def _request(copy: Copy, revision: RevisionRoute) -> dict[str, Any]:
    path = f"{copy.method} /score" + (f"?{copy.query}" if copy.query else "")
    return {
        "method": copy.method,
        "path": path.partition(" ")[2],
        "headers": dict(_shown(copy.headers, revision.collect_headers)),
    }


def _shown(headers: http1.Headers, more: tuple[str, ...]) -> http1.Headers:
    wanted = (_SHOWN | set(more)) - _NEVER
    return [(key, value) for key, value in headers if key in wanted]


def _batch(path: Path) -> Batch | None:
    uid, deployment, collection, *span, name = path.parts if len(path.parts) > 4 else ("",) * 5
    try:
        return Batch(
            uid=uid, deployment=deployment, collection=collection, partition="/".join(span),
            name=name.removesuffix(SEALED),
        )  # fmt: skip
    except ValidationError:
        return None


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _data(body: bytes | None, kind: str) -> dict[str, Any]:
    if body is None:
        return {"data": None, "contentrange": "none; too large to be recorded"}
    said: dict[str, Any] = {"contentrange": f"bytes 0-{max(0, len(body) - 1)}/{len(body)}"}
    try:
        return said | {"data": json.loads(body)}
    except (ValueError, RecursionError):
        return said | {"data_base64": base64.b64encode(body).decode(), "datacontenttype": kind or "text/plain"}
