"""Decides one turn of a rollout: what serves is never harmed by what is new.

The site runs this by itself every tick, link or no link. Figures are those of the router since `status.since`,
champion and candidate over the same window, so a restart that loses them only makes the step wait again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ferryml.domain.orders import Json, RolloutOrder, RolloutStep
from ferryml.domain.statuses import Evidence, RolloutStatus

TERMINAL = frozenset({"promoted", "rolled_back", "failed"})
MIN_ERRORS = 3
"""Errors that are believed even before `min_sample` requests came."""
MAX_EVIDENCE = 100
AWAY = "the old revision answers alone until the new one is back"


@dataclass(frozen=True, slots=True)
class Window:
    """Figures of one revision since a moment. `p99_ms` is None without an answered request."""

    requests: int = 0
    errors: int = 0
    p99_ms: float | None = None
    mirrored: int = 0
    mismatches: int = 0
    mirror_errors: int = 0

    def figures(self) -> dict[str, Json]:
        """For evidence; latencies in milliseconds, one decimal."""
        return {
            "requests": self.requests, "errors": self.errors,
            "p99_ms": None if self.p99_ms is None else round(self.p99_ms, 1),
            "mirrored": self.mirrored, "mismatches": self.mismatches, "mirror_errors": self.mirror_errors,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RolloutSeen:
    """What the site sees of both revisions now. `broken` says in words that the candidate cannot start."""

    candidate_ready: bool
    champion: Window = field(default_factory=Window)
    candidate: Window = field(default_factory=Window)
    broken: str = ""
    waiting: str = ""
    """In words, what keeps the candidate from being ready."""
    displaced: str = ""
    """In words, why the candidate is not ready, where the site took its instances away; empty: by its own doing."""
    champion_ready: bool = True
    """Whether there is anything to go back to: a cluster that lost sight of its nodes says no of everything."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`weights` and `mirror` are revision -> percent, of the deployment's share of the endpoint."""

    status: RolloutStatus
    weights: Mapping[str, int]
    mirror: Mapping[str, int]


def begin(order: RolloutOrder, now: datetime) -> RolloutStatus:
    """The status of a rollout that the site has just heard of."""
    return RolloutStatus(rollout=order.rollout, state="pending", since=now)


def decide(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime) -> Decision:
    """One turn. Pure: same arguments, same answer; safe to repeat at any time."""
    new = _next(order, status, seen, now)
    if new.state not in TERMINAL and _is_away(seen) and order.champion is not None:
        return Decision(new, {order.champion: 100}, {})
    return Decision(new, _weights(order, new), _mirror(order, new))


def _next(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime) -> RolloutStatus:
    if status.state in TERMINAL:
        return status
    if order.command == "rollback":
        return _end(status, seen, now, "rolled_back", "a person asked for it")
    if status.state in ("pending", "preparing"):
        return _prepare(order, status, seen, now)
    violation = _violation(order, status, seen)
    if violation:
        return _end(status, seen, now, "rolled_back", violation)
    if not seen.candidate_ready:
        return _away(order, status, seen, now)
    if status.reason.startswith(AWAY):
        status = status.model_copy(update={"reason": "the new revision is back"})
    if order.command == "promote":
        return _end(status, seen, now, "promoted", "a person asked for it")
    if order.command == "pause":
        return status if status.state == "paused" else _to(status, seen, now, "paused", "a person asked for it")
    if status.state == "paused":
        return _to(status, seen, now, _working_state(status), "a person let it go on")
    return _progress(order, status, seen, now)


def _prepare(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime) -> RolloutStatus:
    if seen.broken:
        return _end(status, seen, now, "failed", f"the new revision cannot start: {seen.broken}")
    if not seen.candidate_ready:
        if (now - status.since).total_seconds() > order.ready_timeout_s:
            reason = f"the new revision was not ready within {order.ready_timeout_s:g} s"
            reason += f": {seen.waiting}" if seen.waiting else ""
            return _end(status, seen, now, "failed", reason)
        return status.model_copy(update={"state": "preparing", "reason": "waiting for the new revision to be ready"})
    if order.command == "pause":
        return status.model_copy(update={"reason": "paused before any traffic: a person asked for it"})
    if order.champion is None:
        return _end(status, seen, now, "promoted", "nothing served before")
    if order.command == "promote":
        return _end(status, seen, now, "promoted", "a person asked for it")
    if order.mirror_percent > 0:
        return _to(status, seen, now, "mirroring", "the new revision is ready")
    return _step(order, status, seen, now, 0, "the new revision is ready")


def _is_away(seen: RolloutSeen) -> bool:
    """Nothing is to be held against it; and nothing is sent to where nobody answers."""
    return not seen.candidate_ready and bool(seen.displaced) and seen.champion_ready


def _away(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime) -> RolloutStatus:
    """It may come back while its step may last."""
    if not _is_away(seen):
        return status
    timeout = order.mirror_timeout_s if status.step < 0 else order.steps[status.step].timeout_s
    if (now - status.since).total_seconds() > timeout:
        late = f"the new revision did not come back within {timeout:g} s of its step: {seen.displaced}"
        return _end(status, seen, now, "rolled_back", late)
    return status.model_copy(update={"reason": f"{AWAY}: {seen.displaced}"})


def _progress(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime) -> RolloutStatus:
    elapsed = (now - status.since).total_seconds()
    if status.step < 0:
        need, have, timeout, on_timeout = (
            order.mirror_min_requests, seen.candidate.mirrored, order.mirror_timeout_s, "hold",
        )  # fmt: skip
        done = have >= need
    else:
        step = order.steps[status.step]
        need, have, timeout, on_timeout = step.min_requests, seen.candidate.requests, step.timeout_s, step.on_timeout
        done = have >= need and elapsed >= step.min_duration_s and _comparable(order, status, seen)
    if done:
        return _step(order, status, seen, now, status.step + 1, f"{have} requests seen, {need} needed")
    if elapsed <= timeout or status.state == "holding":
        return status
    late = f"{have} of {need} requests within {timeout:g} s"
    if on_timeout == "rollback":
        return _end(status, seen, now, "rolled_back", late)
    if on_timeout == "proceed":
        return _step(order, status, seen, now, status.step + 1, late + "; on_timeout is proceed")
    return _to(status, seen, None, "holding", late + "; goes on when they arrive, or by promote or rollback")


def _violation(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen) -> str:
    """In words, the limit that the candidate breaks; empty when none."""
    if seen.broken:
        return f"the new revision broke: {seen.broken}"
    if not seen.candidate_ready and seen.champion_ready and not seen.displaced:
        return "the new revision is not ready any more" + (f": {seen.waiting}" if seen.waiting else "")
    new, enough = seen.candidate, _enough(order, status)
    errors, requests = new.errors + new.mirror_errors, new.requests + new.mirrored
    if order.max_error_rate is not None and requests and (errors >= MIN_ERRORS or requests >= enough):
        rate = errors / requests
        if rate > order.max_error_rate:
            return f"error rate {rate:.3f} is above max_error_rate {order.max_error_rate:g} ({errors} of {requests})"
    if order.max_p99_ms is not None and new.requests >= enough and (new.p99_ms or 0.0) > order.max_p99_ms:
        return f"p99 {new.p99_ms:.1f} ms is above max_p99_ms {order.max_p99_ms:g}"
    usual = _usual_p99(status, seen, enough)
    if order.max_p99_ratio is not None and new.requests >= enough and usual is not None:
        ratio = (new.p99_ms or 0.0) / max(usual, 1e-3)
        if ratio > order.max_p99_ratio:
            return (
                f"p99 {new.p99_ms:.1f} ms is {ratio:.2f} times the champion's {usual:.1f} ms, "
                f"above max_p99_ratio {order.max_p99_ratio:g}"
            )
    if order.max_mismatch_rate is not None and new.mirrored >= enough:
        rate = new.mismatches / new.mirrored
        if rate > order.max_mismatch_rate:
            return f"mismatch rate {rate:.3f} is above max_mismatch_rate {order.max_mismatch_rate:g}"
    return ""


def _comparable(order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen) -> bool:
    """A step that compares is not over before the champion, too, has answered enough; at 100 % it answers nothing."""
    if order.max_p99_ratio is None or status.percent >= 100 or not _asked(order, status):
        return True
    return seen.champion.requests >= _enough(order, status)


def _usual_p99(status: RolloutStatus, seen: RolloutSeen, enough: int) -> float | None:
    """The champion's p99 now, ms; where it answers too little any more, the last one that the evidence has."""
    if seen.champion.requests >= enough:
        return seen.champion.p99_ms
    for entry in reversed(status.evidence):
        figures = entry.figures.get("champion") or {}
        if figures.get("requests", 0) >= enough and figures.get("p99_ms") is not None:
            return float(figures["p99_ms"])
    return None


def _enough(order: RolloutOrder, status: RolloutStatus) -> int:
    return min(order.min_sample, _asked(order, status) or order.min_sample)


def _asked(order: RolloutOrder, status: RolloutStatus) -> int:
    return order.mirror_min_requests if status.step < 0 else order.steps[status.step].min_requests


def _step(
    order: RolloutOrder, status: RolloutStatus, seen: RolloutSeen, now: datetime, index: int, reason: str
) -> RolloutStatus:
    if index >= len(order.steps):
        return _end(status, seen, now, "promoted", reason)
    step: RolloutStep = order.steps[index]
    evidence = _evidence(status, seen, now, f"{_where(status)} -> step {step.percent} %", reason)
    return status.model_copy(
        update={"state": "stepping", "step": index, "percent": step.percent, "since": now, "reason": reason,
                "evidence": evidence}
    )  # fmt: skip


def _to(
    status: RolloutStatus,
    seen: RolloutSeen,
    now: datetime | None,
    state: Literal["mirroring", "stepping", "holding", "paused"],
    reason: str,
) -> RolloutStatus:
    """Into `state`; `now=None` keeps the window open (a hold goes on counting)."""
    since = status.since if now is None else now
    evidence = _evidence(status, seen, since, f"{_where(status)} -> {state}", reason)
    return status.model_copy(update={"state": state, "since": since, "reason": reason, "evidence": evidence})


def _end(
    status: RolloutStatus,
    seen: RolloutSeen,
    now: datetime,
    state: Literal["promoted", "rolled_back", "failed"],
    reason: str,
) -> RolloutStatus:
    percent = 100 if state == "promoted" else 0
    evidence = _evidence(status, seen, now, f"{_where(status)} -> {state}", reason)
    return status.model_copy(
        update={"state": state, "percent": percent, "since": now, "reason": reason, "evidence": evidence}
    )


def _working_state(status: RolloutStatus) -> Literal["mirroring", "stepping"]:
    return "mirroring" if status.step < 0 else "stepping"


def _where(status: RolloutStatus) -> str:
    return f"step {status.percent} %" if status.step >= 0 else status.state


def _evidence(
    status: RolloutStatus, seen: RolloutSeen, at: datetime, transition: str, reason: str
) -> tuple[Evidence, ...]:
    figures: dict[str, Json] = {"champion": seen.champion.figures(), "candidate": seen.candidate.figures()}
    entry = Evidence(at=at, transition=transition, reason=reason, figures=figures)
    return (*status.evidence[-(MAX_EVIDENCE - 1) :], entry)


def _weights(order: RolloutOrder, status: RolloutStatus) -> dict[str, int]:
    if status.state == "promoted":
        return {order.candidate: 100}
    if order.champion is None:
        return {}
    if status.state in ("rolled_back", "failed", "pending", "preparing") or status.percent == 0:
        return {order.champion: 100}
    if status.percent >= 100:
        return {order.candidate: 100}
    return {order.champion: 100 - status.percent, order.candidate: status.percent}


def _mirror(order: RolloutOrder, status: RolloutStatus) -> dict[str, int]:
    mirroring = status.step < 0 and status.state in ("mirroring", "holding")
    return {order.candidate: order.mirror_percent} if mirroring and order.mirror_percent else {}
