"""Which site may run a piece of work, and in words why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ferryml.domain.errors import Refused
from ferryml.domain.explain.places import NodeView, nodes
from ferryml.domain.instance_fit import check_fit
from ferryml.domain.instance_types import of_inventory
from ferryml.domain.orders import Residency
from ferryml.domain.spec.instance_type import DEFAULT_TYPE, InstanceType

__all__ = ["DEFAULT_TYPE", "FREE", "Ask", "Place", "check", "check_builds"]

FREE = Residency()


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
    workspace: str = ""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Names of the instance types that the site told of; empty = it told of none."""
        return tuple(self.inventory.get("instance_types") or ())

    @property
    def types(self) -> dict[str, InstanceType]:
        """Instance types of a cluster, the default one always among them."""
        return of_inventory(self.inventory.get("instance_types"))

    @property
    def nodes(self) -> tuple[NodeView, ...]:
        """Nodes of a cluster; empty: it told of none."""
        return nodes(each for each in self.inventory.get("nodes") or () if isinstance(each, Mapping))

    @property
    def autoscaled(self) -> bool:
        return bool(self.inventory.get("autoscaled"))

    @property
    def tolerations(self) -> tuple[Mapping[str, Any], ...]:
        """What every workload of the compute tolerates: Azure ML's fixed list, and the site's own."""
        fixed = {"amlarc": "true", "amlarc-workload": "true"}
        if self.workspace:
            fixed |= {"resource-group": self.workspace, "workspace": self.workspace, "compute": self.compute}
        known = ({"key": f"ml.azure.com/{key}", "operator": "Equal", "value": value} for key, value in fixed.items())
        # a node that is away may come back: whether a type could ever fit does not depend on it
        away = ("not-ready", "unreachable", "unschedulable", "memory-pressure", "disk-pressure", "pid-pressure")
        passing = ({"key": f"node.kubernetes.io/{key}", "operator": "Exists"} for key in away)
        own = (each for each in self.inventory.get("tolerations") or () if isinstance(each, Mapping))
        return (*known, *passing, *own)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a piece of work wants of its place."""

    residency: Residency = FREE
    instance_type: str = ""
    only_sites: Mapping[str, str] = field(default_factory=dict)
    """Input -> the only site that holds or reaches it."""
    work: Literal["job", "endpoint"] = "job"


def check(ask: Ask, place: Place) -> tuple[str, ...]:
    """Notes worth telling when the place may run it; raises Refused when it may not.

    Codes: `ResidencyViolation`, `ConsentMissing`, `InvalidInstanceType`, `TrainingDisabled`, `InferenceDisabled`,
    `BadReference` for an input that another site alone can reach.
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
    _check_switches(ask, place)
    return (*_check_type(ask.instance_type, place), *_notes(place))


def check_builds(place: Place) -> None:
    """For work whose image has to be built first. Raises Refused `NotSupported`, `BuildsDisabled`."""
    if place.backend == "local":
        raise Refused(
            "NotSupported", f"compute {place.compute} is a local site, which runs no images and so builds none",
            "Give conda_file or pip_requirements instead of build, or choose a Kubernetes compute.",
        )  # fmt: skip
    # a site that has not joined yet says so itself, once it has
    if place.inventory and not place.inventory.get("builds"):
        raise Refused(
            "BuildsDisabled", f"site {place.site} of compute {place.compute} has no registry for images that it builds",
            "IT sets FERRY_CLUSTER_BUILD_REGISTRY of the site (builds.registry in the chart), or give image instead.",
            {"site": place.site},
        )  # fmt: skip


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


def _check_switches(ask: Ask, place: Place) -> None:
    if ask.work == "job" and place.inventory.get("training") is False:
        raise Refused(
            "TrainingDisabled", f"site {place.site} of compute {place.compute} does not run jobs",
            "Choose another compute, or IT sets cluster.training of the site's chart.", {"site": place.site},
        )  # fmt: skip
    if ask.work == "endpoint" and place.inventory.get("inference") is False:
        raise Refused(
            "InferenceDisabled", f"site {place.site} of compute {place.compute} does not serve endpoints",
            "Choose another compute, or IT sets inference.enabled of the site's chart.", {"site": place.site},
        )  # fmt: skip


def _check_type(name: str, place: Place) -> tuple[str, ...]:
    if place.backend == "kubernetes":
        if not place.inventory:
            return ()
        note = check_fit(place.types, name, place.nodes, place.autoscaled, place.tolerations)
        return (note,) if note else ()
    known = place.instance_types
    if not name or name == DEFAULT_TYPE or name in known or not known:
        return ()
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
