"""What the site's operator asks a sidecar: how far it is, what it counted, who is busy. Read only; Prometheus too.

In a cluster there are two: one over TLS for the operator, one without for probes and metrics, which hold no secret.
"""

from __future__ import annotations

import hmac
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ferryml.domain.counters import Counters, bucket_ms
from ferryml.domain.errors import FerryError
from ferryml.domain.routes import EndpointRoute
from ferryml.router.haproxy.sidecar import Load, Sidecar

_MOST_KEPT = 50_000
_TOTALS = (
    ("requests", "Requests answered by weight"),
    ("errors", "Of those, answered with 5xx"),
    ("direct", "Requests that named their deployment"),
    ("queued_out", "Errors that never reached an instance"),
    ("mirrored", "Copies sent to a shadow"),
    ("mirror_errors", "Copies that failed"),
    ("mirror_dropped", "Copies that were not sent"),
    ("inexact", "Copies whose answer was not the same byte for byte"),
    ("mismatches", "Copies whose answer differed by more than rounding"),
    ("disagreements", "Copies with another predicted label"),
)


_GAUGES = (
    ("instances", "Instances that take requests"),
    ("places", "Requests that they take at once"),
    ("in_flight", "Requests under way"),
    ("queued", "Requests in line"),
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

    @property
    def last(self) -> int:
        """Number of the newest; 0: there was none."""
        return self._count

    def after(self, number: int, most: int = 5000) -> list[tuple[int, str, str, str, str]]:
        """(number, uid, request id, revision, prediction) of those with a higher number, oldest first.

        A number that was never given here is of an earlier life of this program: then all.
        """
        with self._lock:
            least = number if number <= self._count else 0
            return list(islice((one for one in self._kept if one[0] > least), most))


MOST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a door answers from."""

    sidecar: Sidecar
    shelf: Shelf
    secret: str
    """Bearer for everything but health and metrics; empty: nothing else is told."""
    places: Callable[[str], int] = lambda revision: 0
    """NAMESPACE/REVISION -> its pods that take requests, as far as is known here."""


class Door:
    """An HTTP server of its own, with TLS when a context is given."""

    def __init__(self, asked: Asked, tls: ssl.SSLContext | None = None) -> None:
        self._make = type("Handler", (_Handler,), {"asked": asked})
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        server = self._server = _Server((host, port), self._make)
        server.tls = self._tls
        threading.Thread(target=server.serve_forever, name="router-door", daemon=True).start()
        return int(server.server_address[1])

    def stop(self) -> None:
        """Close it."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()


def state_of(sidecar: Sidecar, endpoint: EndpointRoute, load: Load) -> dict[str, Any]:
    """What rollouts and the autoscaler decide on, as JSON."""
    uid = endpoint.uid
    return {
        "totals": {name: one.model_dump(mode="json") for name, one in sidecar.totals(uid).items()},
        "recent": {name: one.model_dump(mode="json") for name, one in sidecar.recent(uid).items()},
        "busy": [[*place, count] for place, count in sorted(load.busy.items())],
        "queued": load.queued,
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
    lines += _answers(sidecar)
    lines += _moment(sidecar)
    lines += ["# TYPE ferry_router_reloads_total counter", f"ferry_router_reloads_total {sidecar.reloads}"]
    lines += ["# TYPE ferry_router_generation gauge", f"ferry_router_generation {sidecar.acknowledged}"]
    return "\n".join(lines) + "\n"


def _answers(sidecar: Sidecar) -> list[str]:
    lines = [
        "# HELP ferry_router_answers_total Answers by status; how: weighted or named. -1: the caller went away.",
        "# TYPE ferry_router_answers_total counter",
    ]
    for endpoint in sidecar.endpoints:
        deployments = {one.revision: one.deployment for one in endpoint.revisions}
        for (revision, how, code), count in sorted(sidecar.answers(endpoint.uid).items()):
            labels = _labels(endpoint, deployments[revision], revision)
            lines.append(f'ferry_router_answers_total{{{labels},how="{how}",code="{code}"}} {count}')
    return lines


def _moment(sidecar: Sidecar) -> list[str]:
    """Gauges; none while HAProxy does not answer, for then nothing is known."""
    try:
        loads = sidecar.loads()
    except FerryError:
        return []
    gauges: dict[str, list[str]] = {name: [] for name, _ in _GAUGES}
    for endpoint in sidecar.endpoints:
        load = loads.get(endpoint.uid, Load())
        for one in endpoint.revisions:
            labels = _labels(endpoint, one.deployment, one.revision)
            busy = sum(count for (revision, *_), count in load.busy.items() if revision == one.revision)
            told = {"instances": len(one.upstreams), "in_flight": busy, "queued": load.queued.get(one.revision, 0)}
            told["places"] = len(one.upstreams) * one.max_concurrent_requests
            for name, value in told.items():
                gauges[name].append(f"ferry_router_{name}{{{labels}}} {value}")
    lines: list[str] = []
    for name, words in _GAUGES:
        lines += [f"# HELP ferry_router_{name} {words}.", f"# TYPE ferry_router_{name} gauge", *gauges[name]]
    return lines


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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a slow handshake keeps nobody waiting."""
        if self.tls is not None:
            request.settimeout(_Handler.timeout)
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return  # a stranger
        super().finish_request(request, client_address)
        if self.tls is not None:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that go away are nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    asked: ClassVar[Asked]
    timeout = 10
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """/healthz /readyz /metrics /state /captured?after=N /served?generation=N /places?of=NAMESPACE/REVISION

        The last two wait up to `wait_s` for it to be so.
        """
        asked, sidecar = urlsplit(self.path), self.asked.sidecar
        said = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path == "/healthz" or (asked.path == "/readyz" and sidecar.acknowledged >= 0):
            self._say(200, "text/plain", b"ok")
        elif asked.path == "/readyz":
            self._say(503, "text/plain", b"no table yet")
        elif asked.path == "/metrics":
            self._say(200, "text/plain; version=0.0.4", metrics_of(sidecar).encode())
        elif not self._is_operator():
            self._say(401, "application/json", b'{"error": {"code": "Unauthenticated"}}')
        elif asked.path == "/state":
            self._tell(self._state())
        elif asked.path == "/captured":
            self._tell(self.asked.shelf.after(_number(said.get("after"))))
        elif asked.path == "/served":
            wait_s = _wait_s(said)
            self._tell({"acknowledged": sidecar.await_generation(_number(said.get("generation")), wait_s)})
        elif asked.path == "/places":
            self._tell({"places": self._places(said.get("of", ""), _wait_s(said))})
        else:
            self._say(404, "application/json", b'{"error": {"code": "NotFound"}}')

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: it is asked every second."""

    def _is_operator(self) -> bool:
        given = self.headers.get("authorization", "").encode()
        return bool(self.asked.secret) and hmac.compare_digest(given, f"Bearer {self.asked.secret}".encode())

    def _places(self, revision: str, wait_s: float) -> int:
        until = time.monotonic() + wait_s
        while not (found := self.asked.places(revision)) and time.monotonic() < until:
            time.sleep(0.01)
        return found

    def _state(self) -> dict[str, Any]:
        sidecar = self.asked.sidecar
        try:
            loads = sidecar.loads()
            endpoints = {one.uid: state_of(sidecar, one, loads.get(one.uid, Load())) for one in sidecar.endpoints}
        except FerryError:
            endpoints = {}  # HAProxy is being replaced; the next look has it
        return {
            "acknowledged": sidecar.acknowledged, "reloads": sidecar.reloads, "endpoints": endpoints,
            "kept": self.asked.shelf.last,
        }  # fmt: skip

    def _tell(self, value: object) -> None:
        self._say(200, "application/json", json.dumps(value).encode())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 20 else 0


def _wait_s(said: dict[str, str]) -> float:
    try:
        return min(MOST_WAIT_S, max(0.0, float(said.get("wait_s", "0"))))
    except ValueError:
        return 0.0
