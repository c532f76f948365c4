"""Turns the router's short lines into the counters that rollouts decide on."""

from __future__ import annotations

import threading

from ferryml.domain.counters import Counters
from ferryml.domain.routes import EndpointRoute
from ferryml.router.haproxy.shape import backend_name
from ferryml.router.tally import Tally


class Book:
    """Counters by backend name; lines come from one thread, questions from any."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._lock = threading.Lock()
        self._tallies: dict[str, Tally] = {}
        self._known: dict[bytes, Tally] = {}
        self._tap: dict[str, Counters] = {}
        self._answers: dict[tuple[str, str, int], int] = {}
        self.lost = 0
        """Lines that could not be read."""

    def keep(self, endpoints: list[EndpointRoute]) -> None:
        """Count these and forget the others."""
        wanted = {
            backend_name(endpoint.name, revision.revision) for endpoint in endpoints for revision in endpoint.revisions
        }
        with self._lock:
            for name in self._tallies.keys() - wanted:
                del self._tallies[name]
            self._answers = {key: count for key, count in self._answers.items() if key[0] in wanted}
            for name in wanted - self._tallies.keys():
                self._tallies[name] = Tally(self._boot)
            self._known = {name.encode(): tally for name, tally in self._tallies.items()}

    def take(self, lines: list[bytes]) -> None:
        """`KIND BACKEND STATUS HOW MICROSECONDS`; kinds: w by weight, d named, s swagger, m a mirrored copy."""
        known = self._known
        for line in lines:
            parts = line.split(b" ")
            if len(parts) != 5:
                continue
            kind, backend, status, how, took = parts
            tally = known.get(backend)
            if tally is None or kind not in (b"w", b"d"):
                continue
            self._noted(backend.decode(), "named" if kind == b"d" else "weighted", status)
            if kind == b"d":
                tally.direct += 1
            elif how[:1] != b"C":  # else the caller went away, and nothing can be said of the model
                try:
                    code = int(status)
                    tally.answered(code if code > 0 else 500, int(took) / 1000, code != 503)
                except ValueError:
                    self.lost += 1

    def answers(self, endpoint: EndpointRoute) -> dict[tuple[str, str, int], int]:
        """(revision, weighted or named, status) -> answers; -1: the caller went away."""
        names = {backend_name(endpoint.name, one.revision): one.revision for one in endpoint.revisions}
        with self._lock:
            return {(names[name], how, code): n for (name, how, code), n in self._answers.items() if name in names}

    def _noted(self, backend: str, how: str, status: bytes) -> None:
        try:
            key = (backend, how, int(status))
        except ValueError:
            return
        with self._lock:
            self._answers[key] = self._answers.get(key, 0) + 1

    def from_tap(self, told: dict[str, Counters]) -> None:
        """What the tap has counted since it started, by backend."""
        with self._lock:
            for name, now in told.items():
                added = now.since(self._tap.get(name))
                tally = self._tallies.get(name)
                if tally is not None:
                    tally.add_mirrored(added)
            self._tap = told

    def look(self, at: float, window_s: float) -> None:
        """Remember where everything stands, for `recent`."""
        with self._lock:
            for tally in self._tallies.values():
                tally.look(at, window_s)

    def totals(self, endpoint: EndpointRoute) -> dict[str, Counters]:
        """revision -> totals since this program started."""
        return {name: tally.totals() for name, tally in self._of(endpoint).items()}

    def recent(self, endpoint: EndpointRoute) -> dict[str, Counters]:
        """revision -> what was added within the window."""
        return {name: tally.recent() for name, tally in self._of(endpoint).items()}

    def _of(self, endpoint: EndpointRoute) -> dict[str, Tally]:
        with self._lock:
            return {
                one.revision: self._tallies[name]
                for one in endpoint.revisions
                if (name := backend_name(endpoint.name, one.revision)) in self._tallies
            }
