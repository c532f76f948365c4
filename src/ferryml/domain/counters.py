"""What a router counts of one revision: totals that only rise, so that any two looks give the figures between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ferryml.domain.orders import Wire

_GROWTH = math.log(1.05)
_LEAST_MS = 0.05

_TOTALS = (
    "requests",
    "errors",
    "direct",
    "queued_out",
    "mirrored",
    "mirror_errors",
    "mirror_dropped",
    "inexact",
    "mismatches",
    "disagreements",
)


def bucket(ms: float) -> int:
    """The bucket of a latency; buckets grow by 5 percent, which is the error of a quantile."""
    return max(0, math.ceil(math.log(ms / _LEAST_MS) / _GROWTH)) if ms > _LEAST_MS else 0


def bucket_ms(index: int) -> float:
    """Upper bound of a bucket in milliseconds."""
    return _LEAST_MS * math.exp(_GROWTH * index)


class Counters(Wire):
    """Totals of one revision since its router started (`boot`)."""

    boot: str = ""
    requests: int = 0
    """Answered by weight; direct calls and mirrored copies are not among them."""
    errors: int = 0
    """Of those, answered with 5xx."""
    direct: int = 0
    """Called by naming the deployment."""
    queued_out: int = 0
    """Of the errors: never reached an instance."""
    mirrored: int = 0
    mirror_errors: int = 0
    mirror_dropped: int = 0
    """Copies that were not sent because the tap was full."""
    inexact: int = 0
    """Copies whose answer was not the same byte for byte."""
    mismatches: int = 0
    """Copies whose answer differed by more than rounding."""
    disagreements: int = 0
    """Copies whose predicted label differed."""
    latency: dict[int, int] = {}
    """bucket -> requests."""
    mirror_latency: dict[int, int] = {}
    parts: dict[str, Counters] = {}
    """boot -> totals of one router, where several were added up; the fields above are their sum."""

    def since(self, mark: Counters | None) -> Counters:
        """What was added after `mark`; everything when the router restarted in between.

        Of several routers each counts for itself: one that restarted brings all it has, one that is gone nothing.
        """
        if self.parts and mark is not None:
            return summed({boot: one.since(mark.parts.get(boot)) for boot, one in self.parts.items()})
        if mark is None or mark.boot != self.boot:
            return self
        totals = {name: getattr(self, name) - getattr(mark, name) for name in _TOTALS}
        return Counters(
            boot=self.boot,
            latency=_less(self.latency, mark.latency),
            mirror_latency=_less(self.mirror_latency, mark.mirror_latency),
            **totals,
        )

    def quantile_ms(self, share: float) -> float | None:
        """Latency below which `share` of the requests stayed; None without requests."""
        return _quantile(self.latency, share)

    def mirror_quantile_ms(self, share: float) -> float | None:
        """The same for mirrored copies."""
        return _quantile(self.mirror_latency, share)


def summed(parts: Mapping[str, Counters]) -> Counters:
    """The totals of several routers (`boot` -> its own), as one that can be compared with a later sum."""
    return added(parts.values()).model_copy(update={"parts": dict(parts)})


def added(several: Iterable[Counters]) -> Counters:
    """The plain sum."""
    totals = dict.fromkeys(_TOTALS, 0)
    latency: dict[int, int] = {}
    mirrored: dict[int, int] = {}
    for one in several:
        for name in _TOTALS:
            totals[name] += getattr(one, name)
        for sums, parts in ((latency, one.latency), (mirrored, one.mirror_latency)):
            for index, count in parts.items():
                sums[index] = sums.get(index, 0) + count
    return Counters(latency=latency, mirror_latency=mirrored, **totals)


def _less(now: dict[int, int], then: dict[int, int]) -> dict[int, int]:
    return {index: count - then.get(index, 0) for index, count in now.items() if count > then.get(index, 0)}


def _quantile(histogram: dict[int, int], share: float) -> float | None:
    wanted = share * sum(histogram.values())
    seen = 0
    for index in sorted(histogram):
        seen += histogram[index]
        if seen >= wanted:
            return bucket_ms(index)
    return None
