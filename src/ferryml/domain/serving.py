"""Decides one turn of an endpoint. What serves is untouchable until its successor is ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from ferryml.domain.orders import EndpointOrder, RevisionOrder, Wire
from ferryml.domain.seen import InstanceSeen
from ferryml.domain.statuses import RevisionStatus

BOUND_WORDS = "it failed; what it printed is bound to its zone and stays on the site"
Place = tuple[str, int]
"""(revision, instance)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Whether what a revision needs is on the site: its files and its environment."""

    state: Literal["waiting", "ready", "failed"]
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ServingSeen:
    """What the site sees of one endpoint."""

    instances: tuple[InstanceSeen, ...] = ()
    prepared: Mapping[str, Prepared] = field(default_factory=dict)
    busy: Mapping[Place, int] = field(default_factory=dict)
    """Requests under way; a place that is absent has none."""


@dataclass(frozen=True, slots=True)
class Split:
    """What a rollout decided for its deployment."""

    deployment: str
    weights: Mapping[str, int]
    """revision -> percent of the deployment's share."""
    mirror: Mapping[str, int]
    discarded: str = ""
    """The candidate, once it was rolled back or failed: it shall not run any more."""


class ServingMemory(Wire):
    """What the next turn must know, also after a restart."""

    serving: dict[str, str] = {}
    """deployment -> revision in effect."""
    kept: dict[str, RevisionOrder] = {}
    """Orders of what ran in the last turn: a wish may stop naming one before its successor is ready, or it drained."""
    draining: dict[str, datetime] = {}
    """`REVISION/INSTANCE` -> since when it gets no new requests."""
    succeeded: tuple[str, ...] = ()
    """Revisions that were ready once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what to say of it."""

    counts: Mapping[str, int]
    """revision -> how many instances there shall be, those that still drain among them; 0: none may stay."""
    running: tuple[RevisionOrder, ...]
    """Revisions that the router shall know, drained ones too."""
    upstreams: Mapping[str, tuple[InstanceSeen, ...]]
    """revision -> instances that take requests."""
    weights: dict[str, int]
    """revision -> share in hundredths of a percent."""
    direct: dict[str, str]
    """deployment -> revision for callers who name it."""
    mirror: dict[str, int]
    revisions: tuple[RevisionStatus, ...]
    memory: ServingMemory


def plan(
    order: EndpointOrder,
    split: Split | None,
    seen: ServingSeen,
    memory: ServingMemory,
    now: datetime,
    drain_s: float = 10,
) -> Plan:
    """One turn; safe to repeat. Pure: same arguments, same answer."""
    seen = replace(seen, instances=tuple(one for one in seen.instances if one.state != "ending"))
    ready = _ready(seen.instances)
    serving = _in_effect(order, split, memory, ready)
    known = {revision.revision: revision for revision in order.revisions}
    orders = dict(memory.kept) | known
    wanted = {name for name in known if not split or name != split.discarded} | set(serving.values())
    running = {name: orders[name] for name in wanted if name in orders}
    draining = _draining(seen.instances, running, memory, now)
    staying = [place for place, since in draining.items() if not _may_end(place, since, seen, now, drain_s)]
    weights = _weights(order, split, serving, running)
    succeeded = tuple(sorted({*memory.succeeded, *_complete(running, ready)} & running.keys()))
    present = sorted({*running, *(place[0] for place in draining)} & orders.keys())
    taking = {name: tuple(one for one in all_ if (name, one.instance) not in draining) for name, all_ in ready.items()}
    return Plan(
        counts=_counts(running, staying, seen),
        running=tuple(orders[name] for name in present),
        upstreams=taking,
        weights=weights, direct={d: name for d, name in serving.items() if name in running},
        mirror=_mirror(order, split, serving, running),
        revisions=tuple(_status(revision, seen, ready, succeeded) for revision in order.revisions),
        memory=ServingMemory(
            serving=serving, kept={name: orders[name] for name in present},
            draining={f"{name}/{instance}": since for (name, instance), since in draining.items()}, succeeded=succeeded,
        ),
    )  # fmt: skip


def percents(weights: Mapping[str, int]) -> dict[str, int]:
    """Shares in whole percent, as people read them."""
    return {name: round(weight / 100) for name, weight in sorted(weights.items()) if weight > 0}


def is_ready(revision: RevisionOrder, instances: Iterable[InstanceSeen], whole: bool) -> bool:
    """Whether enough instances take requests: all of them, or at least one."""
    count = sum(one.revision == revision.revision and one.state == "ready" for one in instances)
    return count >= (revision.instances if whole else 1)


def broken(revision: str, seen: ServingSeen) -> str:
    """In words, why the revision cannot start; empty when it may yet."""
    prepared = seen.prepared.get(revision)
    if prepared and prepared.state == "failed":
        return f"{prepared.code}: {prepared.reason}"
    for one in seen.instances:
        if one.revision == revision and one.state == "failed":
            return f"{one.code}: {one.reason}"
    return ""


def waiting(revision: RevisionOrder, seen: ServingSeen) -> str:
    """In words, why the revision is not ready yet; empty when nobody knows, or nobody may."""
    prepared = seen.prepared.get(revision.revision)
    if prepared and prepared.state != "ready":
        return prepared.reason
    mine = [one for one in seen.instances if one.revision == revision.revision and one.reason]
    return "" if logs_stay(revision) or not mine else mine[0].reason


def displaced(revision: RevisionOrder, seen: ServingSeen) -> str:
    """In words, what keeps a revision that was ready from being so, where it is the site's doing and not its own.

    Its node fell silent or is being drained; what must begin elsewhere has not failed. Empty: something of it has.
    """
    mine = [one for one in seen.instances if one.revision == revision.revision and one.state != "ending"]
    if not mine or any(one.code != "NodeLost" and (one.state != "starting" or one.restarts) for one in mine):
        return ""
    said = "" if logs_stay(revision) else next((one.reason for one in mine if one.reason), "")
    return said or "its instances have to begin anew"


def _ready(instances: Iterable[InstanceSeen]) -> dict[str, tuple[InstanceSeen, ...]]:
    found: dict[str, tuple[InstanceSeen, ...]] = {}
    for one in sorted(instances, key=lambda one: (one.revision, one.instance)):
        if one.state == "ready" and one.port:
            found[one.revision] = (*found.get(one.revision, ()), one)
    return found


def _in_effect(
    order: EndpointOrder, split: Split | None, memory: ServingMemory, ready: Mapping[str, tuple[InstanceSeen, ...]]
) -> dict[str, str]:
    """deployment -> revision that answers for it: what was, until what is wanted is ready."""
    serving: dict[str, str] = {}
    for deployment, wanted in order.serving.items():
        before = memory.serving.get(deployment, "")
        if split and split.deployment == deployment:
            continue
        hold = before and before != wanted and before in ready and wanted not in ready
        serving[deployment] = before if hold else wanted
    if split and split.weights:
        # a step of 100 percent is not yet a promotion, but nobody else answers
        serving[split.deployment] = max(split.weights, key=lambda name: (split.weights[name], name))
    return serving


def _weights(
    order: EndpointOrder, split: Split | None, serving: Mapping[str, str], running: Mapping[str, RevisionOrder]
) -> dict[str, int]:
    weights: dict[str, int] = {}
    for deployment, percent in order.traffic.items():
        if split and split.deployment == deployment:
            shares = dict(split.weights)
        else:
            shares = {serving[deployment]: 100} if deployment in serving else {}
        for revision, share in shares.items():
            if revision in running:
                weights[revision] = weights.get(revision, 0) + percent * share
    return weights


def _mirror(
    order: EndpointOrder, split: Split | None, serving: Mapping[str, str], running: Mapping[str, RevisionOrder]
) -> dict[str, int]:
    asked = {serving[name]: share for name, share in order.mirror_traffic.items() if name in serving}
    asked |= dict(split.mirror) if split else {}
    return {revision: share for revision, share in asked.items() if revision in running}


def logs_stay(revision: RevisionOrder) -> bool:
    """What the program printed is bound to its zone, and so are the words taken from it."""
    return bool(revision.residency.zones) and "logs" not in revision.residency.release


def _counts(running: Mapping[str, RevisionOrder], staying: Iterable[Place], seen: ServingSeen) -> dict[str, int]:
    """Instances are numbered from 0 and the last ones leave first, so a number says which of them stay."""
    places = {(one.revision, one.instance) for one in seen.instances}
    counts = dict.fromkeys((name for name, _ in places), 0)
    for name, revision in running.items():
        prepared, wanted = seen.prepared.get(name), revision.instances
        if prepared and prepared.state != "ready":
            # nothing new without its files and environment; what is there stays
            wanted = max((number + 1 for one, number in places if one == name and number < wanted), default=0)
        counts[name] = wanted
    for name, number in staying:
        counts[name] = max(counts[name], number + 1)
    return dict(sorted(counts.items()))


def _draining(
    instances: Iterable[InstanceSeen], running: Mapping[str, RevisionOrder], memory: ServingMemory, now: datetime
) -> dict[Place, datetime]:
    leaving = [
        (one.revision, one.instance)
        for one in instances
        if one.revision not in running or one.instance >= running[one.revision].instances
    ]
    return {place: memory.draining.get(f"{place[0]}/{place[1]}", now) for place in leaving}


def _may_end(place: Place, since: datetime, seen: ServingSeen, now: datetime, drain_s: float) -> bool:
    waited = (now - since).total_seconds()
    # the turn that begins the drain only tells the router
    return waited > 0 and (not seen.busy.get(place) or waited >= drain_s)


def _complete(running: Mapping[str, RevisionOrder], ready: Mapping[str, tuple[InstanceSeen, ...]]) -> set[str]:
    return {name for name, revision in running.items() if len(ready.get(name, ())) >= revision.instances}


def _status(
    revision: RevisionOrder, seen: ServingSeen, ready: Mapping[str, tuple[InstanceSeen, ...]], succeeded: Iterable[str]
) -> RevisionStatus:
    name = revision.revision
    count = len(ready.get(name, ()))
    state, reason, code, traceback = "Creating", "", "", ""
    prepared = seen.prepared.get(name)
    mine = [one for one in seen.instances if one.revision == name]
    failed = next((one for one in mine if one.state == "failed"), None)
    if count >= revision.instances:
        state = "Succeeded"
    elif prepared and prepared.state == "failed":
        state, reason, code = "Failed", prepared.reason, prepared.code
    elif failed:
        state, code = "Failed", failed.code
        reason, traceback = (BOUND_WORDS, "") if logs_stay(revision) else (failed.reason, failed.log_tail)
    elif name in succeeded:
        state, reason = "Succeeded", f"{count} of {revision.instances} instances are ready"
    if not reason and state != "Succeeded":
        waiting = prepared.reason if prepared else ""
        troubled = None if logs_stay(revision) else next((one for one in mine if one.reason), None)
        reason, code = (troubled.reason, troubled.code) if troubled else (waiting, "")
    return RevisionStatus(
        revision=name, deployment=revision.deployment, state=state, ready=count, wanted=revision.instances,
        reason=reason, code=code, traceback=traceback,
    )  # fmt: skip
