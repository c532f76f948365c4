"""Decides how many instances a revision shall have: up at once, down slowly (SPEC.md 8.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from ferryml.domain.orders import RevisionOrder, Wire

CALM_S = 20.0
"""Below the target for this long, about 20 polls, before instances are taken away."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one revision at this moment."""

    busy: int = 0
    queued: int = 0


class ScaleMemory(Wire):
    """What the next look must know of one revision."""

    wanted: int = 0
    calm_since: datetime | None = None
    """Since when fewer instances would do; None: they would not."""
    most: int = 0
    """Instances that were needed at most since then."""


def scale(revision: RevisionOrder, load: Load, memory: ScaleMemory, now: datetime) -> ScaleMemory:
    """One look; `wanted` of the answer is the number of instances. Pure; fixed counts stay fixed.

    Utilisation counts queued requests, so it may exceed 100 percent and then asks for more than one at a time.
    """
    least, most = revision.instances, max(revision.instances, revision.max_instances)
    present = min(most, max(least, memory.wanted))
    if revision.target_utilization <= 0 or most == least:
        return ScaleMemory(wanted=least)
    per_instance = revision.max_concurrent_requests * revision.target_utilization / 100
    needed = min(most, max(least, math.ceil((load.busy + load.queued) / per_instance)))
    if needed >= present:
        return ScaleMemory(wanted=needed)
    if memory.calm_since is None:
        return ScaleMemory(wanted=present, calm_since=now, most=needed)
    highest = max(memory.most, needed)
    if (now - memory.calm_since).total_seconds() < CALM_S:
        return memory if highest == memory.most else memory.model_copy(update={"most": highest})
    return ScaleMemory(wanted=highest)
