"""A rollout's turn on the site: the router's figures since the step began go in, the split of traffic comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ferryml.domain import rollout, serving
from ferryml.domain.counters import Counters
from ferryml.domain.orders import EndpointOrder, RolloutOrder, Wire
from ferryml.domain.rollout import RolloutSeen, Window
from ferryml.domain.serving import ServingSeen, Split
from ferryml.domain.statuses import RolloutStatus


class RolloutMemory(Wire):
    """Where the counters stood when the present step began."""

    rollout: str = ""
    since: datetime | None = None
    marks: dict[str, Counters] = {}


@dataclass(frozen=True, slots=True)
class RolloutTurn:
    """`split` is None without a rollout."""

    status: RolloutStatus | None
    split: Split | None
    memory: RolloutMemory

    @property
    def running(self) -> bool:
        return self.status is not None and self.status.state not in rollout.TERMINAL


def rollout_turn(
    order: EndpointOrder, before: RolloutStatus | None, memory: RolloutMemory, seen: ServingSeen,
    totals: Mapping[str, Counters], now: datetime,
) -> RolloutTurn:  # fmt: skip
    """Goes on where the last turn ended; a rollout that was never heard of begins."""
    plan = order.rollout
    if plan is None:
        return RolloutTurn(None, None, RolloutMemory())
    status = before if before is not None and before.rollout == plan.rollout else rollout.begin(plan, now)
    if memory.rollout != plan.rollout or memory.since != status.since:
        memory = _mark(plan, status, totals)
    decision = rollout.decide(plan, status, _seen(order, plan, status, seen, totals, memory), now)
    if decision.status.since != status.since:
        memory = _mark(plan, decision.status, totals)
    discarded = plan.candidate if decision.status.state in ("rolled_back", "failed") else ""
    split = Split(plan.deployment, decision.weights, decision.mirror, discarded)
    return RolloutTurn(decision.status, split, memory)


def under_way(order: EndpointOrder, before: RolloutStatus | None) -> bool:
    """Whether the order has a rollout whose end was not decided yet."""
    plan = order.rollout
    if plan is None:
        return False
    return before is None or before.rollout != plan.rollout or before.state not in rollout.TERMINAL


def _mark(plan: RolloutOrder, status: RolloutStatus, totals: Mapping[str, Counters]) -> RolloutMemory:
    both = [name for name in (plan.champion, plan.candidate) if name and name in totals]
    return RolloutMemory(rollout=plan.rollout, since=status.since, marks={name: totals[name] for name in both})


def _seen(
    order: EndpointOrder, plan: RolloutOrder, status: RolloutStatus, seen: ServingSeen, totals: Mapping[str, Counters],
    memory: RolloutMemory,
) -> RolloutSeen:  # fmt: skip
    champion, candidate = (
        next((one for one in order.revisions if one.revision == name), None) for name in (plan.champion, plan.candidate)
    )
    whole = status.state in ("pending", "preparing")
    broken = serving.broken(plan.candidate, seen)
    if broken and candidate is not None and serving.logs_stay(candidate):
        broken = f"{broken.partition(':')[0]}: {serving.BOUND_WORDS}"
    return RolloutSeen(
        candidate_ready=candidate is not None and serving.is_ready(candidate, seen.instances, whole),
        champion=_window(plan.champion or "", totals, memory),
        candidate=_window(plan.candidate, totals, memory),
        broken=broken,
        waiting=serving.waiting(candidate, seen) if candidate is not None else "",
        displaced=serving.displaced(candidate, seen) if candidate is not None else "",
        champion_ready=champion is not None and serving.is_ready(champion, seen.instances, whole=False),
    )


def _window(name: str, totals: Mapping[str, Counters], memory: RolloutMemory) -> Window:
    if name not in totals:
        return Window()
    added = totals[name].since(memory.marks.get(name))
    return Window(
        requests=added.requests, errors=added.errors, p99_ms=added.quantile_ms(0.99), mirrored=added.mirrored,
        mismatches=added.mismatches, mirror_errors=added.mirror_errors,
    )  # fmt: skip
