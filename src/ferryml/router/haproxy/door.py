"""What the site's operator asks a sidecar: how far it is, what it counted, who is busy. Read only; Prometheus too."""

from __future__ import annotations

import hmac
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ferryml.domain.counters import Counters, bucket_ms
from ferryml.domain.errors import FerryError
from ferryml.domain.routes import EndpointRoute
from ferryml.router.haproxy.sidecar import Sidecar

_MOST_KEPT = 50_000
_TOTALS = (
    ("requests", "Requests answered by weight"),
    ("errors", "Of those, answered with 5xx"),
    ("direct", "Requests that named their deployment"),
    ("queued_out", "Errors that never reached an instance"),
    ("mirrored", "Copies sent to a shadow"),
    ("mirror_errors", "Copies that failed"),
    ("mirror_dropped", "Copies that were not sent"),
    ("mismatches", "Copies answered differently"),
    ("disagreements", "Copies with another predicted label"),
)


class Shelf:
    """Predictions by order of arrival, until the operator has fetched them; the oldest fall off."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, str, str, str, str]] = deque(maxlen=_MOST_KEPT)
        self._count = 0
        self._lock = threading.Lock()

    def put(self, uid: str, request_id: str, revision: str, predicted: str) -> None:
        """`predicted` is JSON."""
        with self._lock:
            self._count += 1
            self._kept.append((self._count, uid, request_id, revision, predicted))

    def after(self, number: int, most: int = 5000) -> list[tuple[int, str, str, str, str]]:
        """(number, uid, request id, revision, prediction) of those with a higher number, oldest first."""
        with self._lock:
            return [one for one in self._kept if one[0] > number][:most]


class Door:
    """An HTTP server of its own. `secret` is the bearer for everything but health and metrics."""

    def __init__(self, sidecar: Sidecar, shelf: Shelf, secret: str) -> None:
        handler = type("Handler", (_Handler,), {"sidecar": sidecar, "shelf": shelf, "secret": secret})
        self._make = handler
        self._server: ThreadingHTTPServer | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        server = self._server = ThreadingHTTPServer((host, port), self._make)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="router-door", daemon=True).start()
        return int(server.server_address[1])

    def stop(self) -> None:
        """Close it."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()


def state_of(sidecar: Sidecar, endpoint: EndpointRoute) -> dict[str, Any]:
    """What rollouts and the autoscaler decide on, as JSON."""
    uid = endpoint.uid
    return {
        "totals": {name: one.model_dump(mode="json") for name, one in sidecar.totals(uid).items()},
        "recent": {name: one.model_dump(mode="json") for name, one in sidecar.recent(uid).items()},
        "busy": [[*place, count] for place, count in sorted(sidecar.busy(uid).items())],
        "queued": sidecar.queued(uid),
    }


def metrics_of(sidecar: Sidecar) -> str:
    """Prometheus' text format, by endpoint, deployment and revision."""
    counted = [
        (_labels(endpoint, revision.deployment, revision.revision), counters)
        for endpoint in sidecar.endpoints
        for revision in endpoint.revisions
        if (counters := sidecar.totals(endpoint.uid).get(revision.revision)) is not None
    ]
    lines: list[str] = []
    for name, words in _TOTALS:
        lines += [f"# HELP ferry_router_{name}_total {words}.", f"# TYPE ferry_router_{name}_total counter"]
        lines += [f"ferry_router_{name}_total{{{labels}}} {getattr(one, name)}" for labels, one in counted]
    lines += ["# HELP ferry_router_latency_ms Latency of requests by weight.", "# TYPE ferry_router_latency_ms summary"]
    for labels, one in counted:
        lines += _summary(labels, one)
    lines += ["# TYPE ferry_router_reloads_total counter", f"ferry_router_reloads_total {sidecar.reloads}"]
    lines += ["# TYPE ferry_router_generation gauge", f"ferry_router_generation {sidecar.acknowledged}"]
    return "\n".join(lines) + "\n"


def _summary(labels: str, counters: Counters) -> list[str]:
    lines = [
        f'ferry_router_latency_ms{{{labels},quantile="{share}"}} {value:.3f}'
        for share in (0.5, 0.9, 0.95, 0.99)
        if (value := counters.quantile_ms(share)) is not None
    ]
    total = sum(bucket_ms(index) * count for index, count in counters.latency.items())
    count = sum(counters.latency.values())
    return [
        *lines,
        f"ferry_router_latency_ms_sum{{{labels}}} {total:.3f}",
        f"ferry_router_latency_ms_count{{{labels}}} {count}",
    ]


def _labels(endpoint: EndpointRoute, deployment: str, revision: str) -> str:
    return f'endpoint="{endpoint.name}",deployment="{deployment}",revision="{revision}"'


class _Handler(BaseHTTPRequestHandler):
    sidecar: ClassVar[Sidecar]
    shelf: ClassVar[Shelf]
    secret: ClassVar[str]
    timeout = 10

    def do_GET(self) -> None:
        """/healthz /readyz /metrics /state /captured?after=N"""
        asked = urlsplit(self.path)
        if asked.path == "/healthz" or (asked.path == "/readyz" and self.sidecar.acknowledged >= 0):
            self._say(200, "text/plain", b"ok")
        elif asked.path == "/readyz":
            self._say(503, "text/plain", b"no table yet")
        elif asked.path == "/metrics":
            self._say(200, "text/plain; version=0.0.4", metrics_of(self.sidecar).encode())
        elif not hmac.compare_digest(self.headers.get("authorization", ""), f"Bearer {self.secret}"):
            self._say(401, "application/json", b'{"error": {"code": "Unauthenticated"}}')
        elif asked.path == "/state":
            self._tell(self._state())
        elif asked.path == "/captured":
            after = parse_qs(asked.query).get("after", ["0"])[0]
            self._tell(self.shelf.after(int(after) if after.isdecimal() else 0))
        else:
            self._say(404, "application/json", b'{"error": {"code": "NotFound"}}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: it is asked every second."""

    def _state(self) -> dict[str, Any]:
        try:
            endpoints = {one.uid: state_of(self.sidecar, one) for one in self.sidecar.endpoints}
        except FerryError:
            endpoints = {}  # HAProxy is being replaced; the next look has it
        return {
            "acknowledged": self.sidecar.acknowledged, "reloads": self.sidecar.reloads, "endpoints": endpoints,
        }  # fmt: skip

    def _tell(self, value: object) -> None:
        self._say(200, "application/json", json.dumps(value).encode())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
