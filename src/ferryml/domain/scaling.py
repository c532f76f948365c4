"""Decides how many instances a revision shall have: up at once, down slowly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ferryml.domain.orders import EndpointOrder, RevisionOrder, Wire

CALM_S = 20.0
"""Below the target for this long, about 20 polls, before instances are taken away."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one revision at this moment."""

    busy: int = 0
    queued: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of an endpoint now."""

    loads: Mapping[str, Load]
    """By revision; one that is absent has none."""
    whole: bool = True
    """Every router was heard of; else there may be more requests than these."""
    rolling: bool = False
    """The rollout of the order is under way."""


class ScaleMemory(Wire):
    """What the next look must know of one revision."""

    wanted: int = 0
    calm_since: datetime | None = None
    """Since when fewer instances would do; None: they would not."""
    most: int = 0
    """Instances that were needed at most since then."""


def scale_all(
    order: EndpointOrder, moment: Moment, memories: Mapping[str, ScaleMemory], now: datetime
) -> dict[str, ScaleMemory]:
    """One look at every revision that scales; the others keep their count and are not in the answer.

    While a rollout is under way neither side loses instances, for each may get all the requests in a moment, and the
    candidate has as many as the champion. Nothing is taken away either while some router is silent. Pure.
    """
    rollout = order.rollout if moment.rolling else None
    sides = (rollout.champion, rollout.candidate) if rollout else ()
    made: dict[str, ScaleMemory] = {}
    for one in order.revisions:
        if one.target_utilization > 0 and one.max_instances > one.instances:
            before = memories.get(one.revision, ScaleMemory())
            after = scale(one, moment.loads.get(one.revision, Load()), before, now)
            held = one.revision in sides or not moment.whole
            made[one.revision] = _held(one, before, after) if held else after
    if rollout and rollout.candidate in made:
        counts = {one.revision: one.instances for one in order.revisions} | {n: m.wanted for n, m in made.items()}
        most = {one.revision: one.max_instances for one in order.revisions}[rollout.candidate]
        least = min(most, counts.get(rollout.champion or "", 0))
        if made[rollout.candidate].wanted < least:
            made[rollout.candidate] = ScaleMemory(wanted=least)
    return made


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


def _held(revision: RevisionOrder, before: ScaleMemory, after: ScaleMemory) -> ScaleMemory:
    """Not fewer than there are; the calm begins anew once instances may be taken away."""
    return ScaleMemory(wanted=min(max(revision.instances, revision.max_instances), max(before.wanted, after.wanted)))
