"""Where a job that waits would start now: another instance type of its compute, or another compute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ferryml.domain.errors import Refused
from ferryml.domain.instance_fit import fits, nearest, summary
from ferryml.domain.placement import DEFAULT_TYPE, Ask, Place, check
from ferryml.domain.spec.instance_type import InstanceType

MOST = 5


@dataclass(frozen=True, slots=True)
class Alternative:
    """One place where it would start now, as far as the last heartbeats tell."""

    compute: str
    site: str
    instance_type: str
    words: str


def alternatives(ask: Ask, here: Place, others: Iterable[Place]) -> tuple[Alternative, ...]:
    """Places that would take it at once, the most alike first: this compute with another type, then other computes.

    Residency and switches are asked as at submit; a site that is away takes nothing now.
    """
    wanted = here.types.get(ask.instance_type or DEFAULT_TYPE)
    found = [made for made in (_here(ask, here, wanted),) if made]
    for place in others:
        if place.compute == here.compute or not place.online:
            continue
        made = _there(ask, place, wanted)
        if made is not None:
            found.append(made)
    return tuple(found[:MOST])


def _here(ask: Ask, place: Place, wanted: InstanceType | None) -> Alternative | None:
    if place.backend != "kubernetes" or wanted is None or not place.online:
        return None
    other = nearest(wanted, place.types, place.nodes, place.tolerations, now=True)
    if other is None or not _may(replace(ask, instance_type=other.name), place):
        return None
    return _made(place, other.name, summary(other))


def _there(ask: Ask, place: Place, wanted: InstanceType | None) -> Alternative | None:
    if place.backend != "kubernetes":
        return _made(place, "", "runs it as a process") if _may(replace(ask, instance_type=""), place) else None
    types = place.types
    same = types.get(ask.instance_type or DEFAULT_TYPE)
    chosen = same if same and fits(same, place.nodes, place.tolerations, now=True).ok else None
    like = same or wanted
    if chosen is None and like is not None:
        chosen = nearest(like, types, place.nodes, place.tolerations, now=True)
    if chosen is None or not _may(replace(ask, instance_type=chosen.name), place):
        return None
    return _made(place, chosen.name, summary(chosen))


def _may(ask: Ask, place: Place) -> bool:
    try:
        check(ask, place)
    except Refused:
        return False
    return True


def _made(place: Place, name: str, words: str) -> Alternative:
    return Alternative(place.compute, place.site, name, words)
