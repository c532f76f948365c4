"""Decides what an endpoint on several computes still lacks on each, and says in one word how it is as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CREATING, UPDATING, SUCCEEDED, FAILED, DELETING = "Creating", "Updating", "Succeeded", "Failed", "Deleting"
Shares = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a compute shall have.

    Args:
        deployments: name -> version of what was asked; a version is tried once on each compute.
        traffic, mirror: name -> percent.
    """

    deployments: Mapping[str, int] = field(default_factory=dict)
    traffic: Shares = field(default_factory=dict)
    mirror: Shares = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploymentSeen:
    """A deployment on one compute; `version` is the last that was tried there, 0: none."""

    version: int = 0
    state: str = ""
    serves: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """The endpoint on one compute. `busy`: an operation is under way; `offline`: its site is not heard from."""

    state: str
    busy: bool = False
    offline: bool = False
    reason: str = ""
    traffic: Shares = field(default_factory=dict)
    mirror: Shares = field(default_factory=dict)
    deployments: Mapping[str, DeploymentSeen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Add:
    """Begin to serve there."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Drain what is there, and delete it."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """Bring a deployment to what was asked."""

    deployment: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete a deployment that nobody wants any more."""

    deployment: str


@dataclass(frozen=True, slots=True)
class Share:
    """Send requests as asked."""

    traffic: Shares
    mirror: Shares


Step = Add | Remove | Deploy | Drop | Share


@dataclass(frozen=True, slots=True)
class Told:
    """A provisioning state with its reason. `waits`: only for a site that is offline."""

    state: str
    reason: str = ""
    waits: bool = False


def next_step(wanted: Wanted | None, seen: MemberSeen | None) -> Step | None:
    """The one thing to do there next, once nothing else is under way; None when all that can be done is done."""
    if seen is None:
        return Add() if wanted is not None else None
    if wanted is None:
        return Remove() if seen.state != DELETING else None
    if seen.state == DELETING:
        return None
    for name, version in wanted.deployments.items():
        if seen.deployments.get(name, DeploymentSeen()).version != version:
            return Deploy(name)
    shares = _real(wanted.traffic), _real(wanted.mirror)
    serves = all(seen.deployments.get(name, DeploymentSeen()).serves for share in shares for name in share)
    if serves and shares != (_real(seen.traffic), _real(seen.mirror)):
        return Share(*shares)
    for name in seen.deployments:
        if name not in wanted.deployments and not seen.traffic.get(name) and not seen.mirror.get(name):
            return Drop(name)
    return None


def lacks(wanted: Wanted | None, seen: MemberSeen | None) -> bool:
    """Whether something is under way there or still to be done."""
    going = seen is not None and (seen.busy or seen.state in (CREATING, DELETING))
    return going or next_step(wanted, seen) is not None


def site_state(wanted: Wanted | None, seen: MemberSeen | None) -> Told:
    """How the endpoint is on one compute."""
    if seen is None:
        return Told(CREATING)
    leaving = wanted is None or seen.state == DELETING
    if lacks(wanted, seen):
        state = DELETING if leaving else CREATING if seen.state == CREATING else UPDATING
        return Told(state, "waits for its site, which is offline", True) if seen.offline else Told(state, seen.reason)
    if seen.state == FAILED:
        return Told(FAILED, seen.reason)
    for name in wanted.deployments if wanted else ():
        one = seen.deployments.get(name, DeploymentSeen())
        if not one.serves:
            return Told(FAILED, f"deployment {name}: {one.reason or 'has never been ready'}")
    return Told(SUCCEEDED, "its site is offline; what it has goes on serving" if seen.offline else "")


def deployment_state(name: str, wanted: Wanted | None, seen: MemberSeen | None) -> Told:
    """How one deployment is on one compute."""
    version = wanted.deployments.get(name) if wanted else None
    one = seen.deployments.get(name, DeploymentSeen()) if seen else DeploymentSeen()
    offline = seen is not None and seen.offline
    if version is None:
        state = DELETING
    elif one.version != version:
        state = UPDATING if one.serves else CREATING
    elif one.state in (SUCCEEDED, FAILED):
        return Told(one.state, one.reason)
    else:
        state = one.state or CREATING
    return Told(state, "waits for its site, which is offline", True) if offline else Told(state, one.reason)


def overall(told: Mapping[str, Told], leaving: bool = False) -> Told:
    """All computes in one word: Succeeded only when each is, and every compute that is not is named.

    `leaving`: the whole is being deleted, not only what is on some computes. What goes on where a site answers comes
    first, then what failed, then what waits for a site that is offline.
    """
    going = {name: one for name, one in told.items() if one.state not in (SUCCEEDED, FAILED) and not one.waits}
    failed = {name: one for name, one in told.items() if one.state == FAILED}
    waiting = {name: one for name, one in told.items() if one.waits}
    if leaving:
        return Told(DELETING, _words(going or waiting), not going and bool(waiting))
    if going:
        return Told(_word(going), _words(going))
    if failed:
        return Told(FAILED, _words({**failed, **waiting}))
    return Told(_word(waiting), _words(waiting), True) if waiting else Told(SUCCEEDED)


def _word(told: Mapping[str, Told]) -> str:
    return CREATING if any(one.state == CREATING for one in told.values()) else UPDATING


def _words(told: Mapping[str, Told]) -> str:
    return "; ".join(f"{name}: {one.reason or one.state}" for name, one in sorted(told.items()))


def _real(shares: Shares) -> dict[str, int]:
    return {name: share for name, share in shares.items() if share}
