"""Decides one turn of a rollout over several endpoints: who is next, who is skipped, who is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ferryml.domain.orders import Json
from ferryml.domain.spec.rollout import RolloutPlan

BAD = ("rolled_back", "failed")


@dataclass(frozen=True, slots=True)
class SiteSeen:
    """What became of the rollout on one endpoint: state of `RolloutStatus`, empty when it was not started."""

    state: str = ""
    reason: str = ""
    offline: bool = False
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now. `start` and `undo` name endpoints; both may be repeated without harm."""

    state: Literal["running", "holding", "promoted", "rolled_back"]
    reason: str = ""
    start: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def decide(plan: RolloutPlan, seen: Mapping[str, SiteSeen], skipped: tuple[str, ...] = ()) -> Turn:
    """One turn over all endpoints of the plan. Pure; `skipped` is what earlier turns left out."""
    names = plan.endpoint_names
    left = skipped + tuple(
        name for name in names if name not in skipped and plan.on_offline == "skip" and _absent(seen.get(name))
    )
    names = tuple(name for name in names if name not in left)
    bad = [name for name in names if _bad(plan, seen.get(name))]
    active = [name for name in names if seen.get(name, SiteSeen()).state not in ("", "promoted", *BAD)]
    done = [name for name in names if seen.get(name, SiteSeen()).state == "promoted"]
    if bad:
        return _failed(plan, seen, bad, active + done, left)
    if len(done) == len(names):
        also = f"; skipped because offline: {', '.join(left)}" if left else ""
        return Turn("promoted", f"serves on {', '.join(done) or 'no endpoint'}{also}", skipped=left)
    waiting = [name for name in names if seen.get(name, SiteSeen()).state == ""]
    start = waiting if plan.order == "parallel" else waiting[:1] if not active else []
    offline = [name for name in (*active, *start) if seen.get(name, SiteSeen()).offline]
    reason = f"waiting for the site of {', '.join(offline)}, which is offline" if offline else ""
    return Turn("running", reason, start=tuple(start), skipped=left)


def _failed(
    plan: RolloutPlan, seen: Mapping[str, SiteSeen], bad: list[str], others: list[str], left: tuple[str, ...]
) -> Turn:
    first = seen.get(bad[0], SiteSeen())
    why = first.reason or ("its site is offline" if first.offline else first.state)
    reason = f"{bad[0]}: {why}"
    match plan.on_failure:
        case "rollback_all":
            return Turn("rolled_back", reason, undo=tuple(others), skipped=left)
        case "rollback_failed":
            working = [name for name in others if seen[name].state != "promoted"]
            return Turn("running" if working else "rolled_back", reason, skipped=left)
        case "hold":
            return Turn("holding", f"{reason}; the others are left as they are until a person decides", skipped=left)


def _absent(seen: SiteSeen | None) -> bool:
    return seen is not None and seen.offline and seen.state in ("", "pending")


def _bad(plan: RolloutPlan, seen: SiteSeen | None) -> bool:
    return seen is not None and (seen.state in BAD or (plan.on_offline == "fail" and _absent(seen)))
