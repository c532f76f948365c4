"""Endpoints of a site that is a cluster, plugged together: pods, their logs, the router, labels and predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ferryml.agent.endpoint_files import Files
from ferryml.agent.endpoint_ports import RouterDoor
from ferryml.agent.endpoints import EndpointAgent, EndpointHands, EndpointRules
from ferryml.backends.kubernetes.captures import GatewayCaptures
from ferryml.backends.kubernetes.gateway_door import HttpGatewayDoor
from ferryml.backends.kubernetes.jobs import Explainer
from ferryml.backends.kubernetes.kube import Kube
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.serving import KubeServing
from ferryml.backends.kubernetes.serving_logs import ServingLogs
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.settings import ClusterSettings

DRAIN_S = 10.0
"""How long instances that leave wait for their requests before Kubernetes, which drains by itself, is told."""


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """What serving shares with jobs."""

    kube: Kube
    watched: Watched
    door: HttpGatewayDoor
    environments: Preparations
    cluster: Cluster
    ledger: KubeLedger
    explainer: Explainer


class Routers(RouterDoor, Protocol):
    """The routers of the cluster, followed from `start` to `stop`."""

    captured: Callable[[str, str, str, str], None]
    """Gets (uid, request id, revision, prediction as JSON) of what the routers keep for labels."""
    changed: Callable[[str], None]
    """Gets the uid of an endpoint whose load is another than before."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class ClusterServing:
    """`start` finds the routers and begins to read logs; everything else happens in the operator's turns."""

    def __init__(
        self, parts: ClusterParts, router: Routers, knobs: ClusterSettings, now: Callable[[], datetime],
        wake: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._router = router
        self.captures = GatewayCaptures(parts.door)
        router.captured, router.changed = self.captures.put, wake
        self._output = ServingLogs(parts.kube, wake)
        backend = KubeServing(
            parts.kube, parts.watched, parts.door, parts.environments, parts.cluster, parts.ledger.wish,
            parts.ledger.held, self._output, knobs.image_patience_s, now, parts.explainer,
        )  # fmt: skip
        files = Files(parts.door.read, parts.door.model)
        hands = EndpointHands(backend, parts.environments, parts.door, router, self.captures, files)
        self.agent = EndpointAgent(hands, EndpointRules(DRAIN_S, 0))

    def start(self) -> None:
        """Raises Unavailable while the cluster does not tell which routers there are."""
        self._router.start()
        self._output.start()
        self.captures.start()

    def stop(self) -> None:
        """Deployments go on."""
        self._output.stop()
        self.captures.close()
        self.agent.close()
        self._router.stop()
