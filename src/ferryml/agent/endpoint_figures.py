"""What a site tells of each revision's traffic: totals, the rate of now, latencies, what is under way and in line."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from ferryml.domain.counters import Counters
from ferryml.domain.serving import Place

WINDOW_S = 10.0
"""Span of the rate; latencies have the router's own window."""
QUANTILES = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99))
Figures = dict[str, dict[str, float]]
Marks = deque[tuple[datetime, Counters]]


class Figuring:
    """Remembers where the totals stood, to tell how fast they rise. One thread calls."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, str], Marks] = {}

    def of(
        self, uid: str, totals: Mapping[str, Counters], recent: Mapping[str, Counters], busy: Mapping[Place, int],
        queued: Mapping[str, int], now: datetime,
    ) -> Figures:  # fmt: skip
        """revision -> figures by name, of each revision that the router counts."""
        for key in [key for key in self._marks if key[0] == uid and key[1] not in totals]:
            del self._marks[key]
        made: Figures = {}
        for name in sorted(totals):
            under_way = sum(count for (revision, _), count in busy.items() if revision == name)
            figures = _counted(totals[name], recent.get(name) or totals[name])
            figures |= {"in_flight": under_way, "queued": queued.get(name, 0)}
            rate = self._rate(uid, name, totals[name], now)
            made[name] = figures if rate is None else {**figures, "rate": round(rate, 2)}
        return made

    def forget(self, uid: str) -> None:
        """The endpoint is gone."""
        for key in [key for key in self._marks if key[0] == uid]:
            del self._marks[key]

    def _rate(self, uid: str, revision: str, totals: Counters, now: datetime) -> float | None:
        """Requests a second, by weight and by name; None at the first look."""
        marks = self._marks.setdefault((uid, revision), deque())
        if marks and marks[-1][1].boot != totals.boot:
            marks.clear()
        marks.append((now, totals))
        while len(marks) > 2 and (now - marks[1][0]).total_seconds() >= WINDOW_S:
            marks.popleft()
        since, mark = marks[0]
        elapsed = (now - since).total_seconds()
        added = totals.since(mark)
        return (added.requests + added.direct) / elapsed if elapsed > 0 else None


def _counted(totals: Counters, window: Counters) -> dict[str, float]:
    figures: dict[str, float] = {
        "requests": totals.requests, "errors": totals.errors, "direct": totals.direct, "queued_out": totals.queued_out,
        "mirrored": totals.mirrored, "mirror_errors": totals.mirror_errors, "mirror_dropped": totals.mirror_dropped,
        "inexact": totals.inexact, "mismatches": totals.mismatches, "disagreements": totals.disagreements,
    }  # fmt: skip
    if window.requests:
        figures["error_rate"] = round(window.errors / window.requests, 6)
    for name, share in QUANTILES:
        value = window.quantile_ms(share)
        if value is not None:
            figures[name] = round(value, 2)
    shadow = window.mirror_quantile_ms(0.99)
    return figures if shadow is None else {**figures, "mirror_p99_ms": round(shadow, 2)}
