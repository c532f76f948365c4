"""Counting while serving: cheap to add to, and safe to read from another thread."""

from __future__ import annotations

from collections import deque

from ferryml.domain.counters import Counters, bucket
from ferryml.domain.predictions import Likeness


class Tally:
    """One revision's counters, written by the router's loop only."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.requests = self.errors = self.direct = self.queued_out = 0
        self.mirrored = self.mirror_errors = self.mirror_dropped = 0
        self.inexact = self.mismatches = self.disagreements = 0
        self._latency: dict[int, int] = {}
        self._mirror_latency: dict[int, int] = {}
        self._looks: deque[tuple[float, Counters]] = deque()

    def answered(self, status: int, ms: float, reached: bool) -> None:
        """A request by weight was answered."""
        self.requests += 1
        self.errors += status >= 500
        self.queued_out += not reached
        index = bucket(ms)
        self._latency[index] = self._latency.get(index, 0) + 1

    def copied(self, ms: float, verdict: Likeness | None) -> None:
        """A mirrored copy was answered; None: it failed."""
        self.mirrored += 1
        if verdict is None:
            self.mirror_errors += 1
        else:
            self.inexact += not verdict.exact
            self.mismatches += not verdict.equal
            self.disagreements += not verdict.label
        index = bucket(ms)
        self._mirror_latency[index] = self._mirror_latency.get(index, 0) + 1

    def add_mirrored(self, added: Counters) -> None:
        """What another program counted of copies."""
        for name in ("mirrored", "mirror_errors", "mirror_dropped", "inexact", "mismatches", "disagreements"):
            setattr(self, name, getattr(self, name) + getattr(added, name))
        for index, count in added.mirror_latency.items():
            self._mirror_latency[index] = self._mirror_latency.get(index, 0) + count

    def totals(self) -> Counters:
        """Everything since the router started."""
        return Counters(
            boot=self.boot, requests=self.requests, errors=self.errors, direct=self.direct, queued_out=self.queued_out,
            mirrored=self.mirrored, mirror_errors=self.mirror_errors, mirror_dropped=self.mirror_dropped,
            inexact=self.inexact, mismatches=self.mismatches, disagreements=self.disagreements,
            latency=self._latency.copy(), mirror_latency=self._mirror_latency.copy(),
        )  # fmt: skip

    def look(self, at: float, window_s: float) -> None:
        """Remember where the totals stand, for `recent`; called every few seconds."""
        self._looks.append((at, self.totals()))
        while len(self._looks) > 2 and self._looks[1][0] <= at - window_s:
            self._looks.popleft()

    def recent(self) -> Counters:
        """What was added within the window."""
        return self.totals().since(self._looks[0][1] if self._looks else None)
