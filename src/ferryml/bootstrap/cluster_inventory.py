"""What a cluster says of itself in its heartbeat: what the caches hold, and what the last look has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ferryml.agent.doctor import Doctor
from ferryml.agent.inventory import Inventory as Looks
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.facts import KubeFacts
from ferryml.backends.kubernetes.watched import Watched
from ferryml.bootstrap.cluster_doctor import wants_of
from ferryml.bootstrap.inventory import version
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.domain.instance_types import table, to_inventory
from ferryml.domain.link import Heartbeat
from ferryml.domain.spec.instance_type import InstanceType
from ferryml.settings import ClusterSettings

CAPABILITIES = ("jobs", "mlflow", "look")


class Inventory:
    """Made of what is in memory: a heartbeat costs no request.

    Args:
        looked: called when a look has brought news.
    """

    def __init__(
        self, knobs: ClusterSettings, kube: HttpKube, watched: Watched, doctor: Doctor, cluster: Cluster,
        now: Callable[[], datetime], looked: Callable[[], None],
    ) -> None:  # fmt: skip
        self._knobs, self._kube, self._watched, self._cluster, self._now = knobs, kube, watched, cluster, now
        self._looks = Looks(KubeFacts(kube), wants_of(knobs), doctor, time.monotonic, looked)
        self._version = ""
        self.capabilities: tuple[str, ...] = CAPABILITIES

    def start(self) -> None:
        self._looks.start()

    def stop(self) -> None:
        self._looks.stop()

    def heard(self, settings: Mapping[str, Any]) -> None:
        """Settings and questions of the server."""
        self._looks.heard(settings)

    def taken(self) -> Mapping[str, Mapping[str, float]]:
        """node -> what other people's pods were promised."""
        return self._looks.taken()

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(version=version(), capabilities=self.capabilities, inventory=self._inventory(), at=self._now())

    def _inventory(self) -> dict[str, Any]:
        self._version = self._version or self._kube.version()
        found, faults = types_in(self._watched)
        return {
            "backend": "kubernetes",
            "kubernetes": self._version,
            "instance_types": to_inventory(found),
            "notes": list(faults),
            "accept_zone_bound": True,
            "router_url": "",
            "autoscaled": self._knobs.autoscaled,
            "training": self._knobs.training,
            "inference": self._knobs.inference,
            "builds": bool(self._knobs.build_registry),
            "tolerations": list(self._cluster.workload_tolerations),
            **self._looks.told(self._watched.nodes.all(), self._watched.pods.all()),
        }


def types_in(watched: Watched) -> tuple[dict[str, InstanceType], tuple[str, ...]]:
    """Instance types that the caches hold, and in words what was left out."""
    return table([*watched.types.all(), *watched.alias_types.all()])
