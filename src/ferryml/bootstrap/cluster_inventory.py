"""What a cluster says of itself in its heartbeat: namespaces, nodes and what is free on them, instance types."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.watched import Watched
from ferryml.bootstrap.inventory import version
from ferryml.domain.instance_types import table, to_inventory
from ferryml.domain.link import Heartbeat
from ferryml.settings import ClusterSettings, SiteSettings


class Inventory:
    """Made of what the caches hold: a heartbeat costs no request."""

    def __init__(
        self, settings: SiteSettings, knobs: ClusterSettings, kube: HttpKube, watched: Watched,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._settings, self._knobs, self._kube, self._watched, self._now = settings, knobs, kube, watched, now
        self._version = ""

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(
            version=version(), capabilities=("jobs", "mlflow"), inventory=self._inventory(), at=self._now()
        )

    def _inventory(self) -> dict[str, Any]:
        self._version = self._version or self._kube.version()
        types, faults = table([*self._watched.types.all(), *self._watched.alias_types.all()])
        return {
            "backend": "kubernetes",
            "kubernetes": self._version,
            "namespaces": list(self._knobs.allowed_namespaces()),
            "instance_types": to_inventory(types),
            "notes": list(faults),
            "accept_zone_bound": True,
            "router_url": "",
            "autoscaled": self._knobs.autoscaled,
        }
