"""Which site may run a piece of work, and in words why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.domain.orders import Residency

FREE = Residency()
DEFAULT_TYPE = "defaultinstancetype"
"""Always exists, so that nobody has to name an instance type (SPEC.md 3)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A compute's site, as the server last heard of it."""

    compute: str
    site: str
    zone: str
    backend: str = "local"
    namespace: str = "default"
    """Of the compute, on a cluster."""
    inventory: Mapping[str, Any] = field(default_factory=dict)
    online: bool = True
    last_seen: datetime | None = None

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Names of the instance types that the site told of; empty = it told of none."""
        return tuple(self.inventory.get("instance_types") or ())


@dataclass(frozen=True, slots=True)
class Ask:
    """What a piece of work wants of its place."""

    residency: Residency = FREE
    instance_type: str = ""
    only_sites: Mapping[str, str] = field(default_factory=dict)
    """Input -> the only site that holds or reaches it."""


def check(ask: Ask, place: Place) -> tuple[str, ...]:
    """Notes worth telling when the place may run it; raises Refused when it may not.

    Codes: `ResidencyViolation`, `ConsentMissing`, `InvalidInstanceType`, `BadReference` for an input that another
    site alone can reach.
    """
    _check_zone(ask.residency, place)
    for name, site in ask.only_sites.items():
        if site != place.site:
            raise Refused(
                "BadReference",
                f"{name} can be reached from site {site} only, and compute {place.compute} is on {place.site}",
                f"Use a compute of site {site}, or copy the data to a place that {place.site} can reach.",
                {"site": site},
            )
    _check_type(ask.instance_type, place)
    return _notes(place)


def _check_zone(residency: Residency, place: Place) -> None:
    if not residency.zones:
        return
    if place.zone not in residency.zones:
        zones = ", ".join(residency.zones)
        raise Refused(
            "ResidencyViolation",
            f"an input is bound to {zones}, and compute {place.compute} is on site {place.site} in zone {place.zone}",
            f"Choose a compute in {zones}, or ask the data's owner to add the zone {place.zone}.",
            {"zones": list(residency.zones), "zone": place.zone},
        )
    if place.backend == "local" and not place.inventory.get("accept_zone_bound"):
        raise Refused(
            "ConsentMissing",
            f"site {place.site} runs processes that are not isolated from each other and has not accepted "
            "zone-bound data",
            "Start its agent with FERRY_SITE_ACCEPT_ZONE_BOUND=true if this is acceptable.",
            {"site": place.site},
        )


def _check_type(name: str, place: Place) -> None:
    known = place.instance_types
    if not name or name == DEFAULT_TYPE or name in known or (not known and place.last_seen is None):
        return
    if place.backend == "local" and not known:
        return
    raise Refused(
        "InvalidInstanceType",
        f"compute {place.compute} has no instance type {name!r}; it has {', '.join((DEFAULT_TYPE, *known))}",
        f"See `ferry compute show -n {place.compute}`.",
    )


def _notes(place: Place) -> tuple[str, ...]:
    if place.online:
        return ()
    if place.last_seen is None:
        return (f"site {place.site} has not joined yet; the work starts when its agent does",)
    return (f"site {place.site} has not been heard from since {place.last_seen:%Y-%m-%d %H:%M:%S} UTC; it starts then",)
