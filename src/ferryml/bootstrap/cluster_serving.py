"""Endpoints of a site that is a cluster, plugged together: pods, their logs, the router, labels and predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ferryml.agent.endpoint_files import BroughtByPods
from ferryml.agent.endpoints import EndpointAgent, EndpointHands, EndpointRules
from ferryml.backends.kubernetes.gateway_door import HttpGatewayDoor
from ferryml.backends.kubernetes.kube import Kube
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.serving import KubeServing
from ferryml.backends.kubernetes.serving_logs import ServingLogs
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.domain.counters import Counters
from ferryml.domain.routes import EndpointRoute
from ferryml.domain.statuses import Accuracy
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


class ClusterServing:
    """`start` begins to read logs; everything else happens in the operator's turns."""

    def __init__(
        self, parts: ClusterParts, knobs: ClusterSettings, now: Callable[[], datetime], wake: Callable[[str], None]
    ) -> None:
        self._output = ServingLogs(parts.kube, wake)
        backend = KubeServing(
            parts.kube, parts.watched, parts.door, parts.environments, parts.cluster, parts.ledger.wish,
            parts.ledger.held, self._output, knobs.image_patience_s, now,
        )  # fmt: skip
        hands = EndpointHands(backend, parts.environments, parts.door, _Unrouted(), _NoLabels(), BroughtByPods())
        self.agent = EndpointAgent(hands, EndpointRules(DRAIN_S, 0, name_instances=False))

    def start(self) -> None:
        self._output.start()

    def stop(self) -> None:
        """Deployments go on."""
        self._output.stop()
        self.agent.close()


class _Unrouted:
    url = ""

    def apply(self, route: EndpointRoute) -> None:
        return

    def drop(self, uid: str) -> None:
        return

    def totals(self, uid: str) -> Mapping[str, Counters]:
        return {}

    def recent(self, uid: str) -> Mapping[str, Counters]:
        return {}

    def busy(self, uid: str) -> Mapping[tuple[str, int, int], int]:
        return {}

    def queued(self, uid: str) -> Mapping[str, int]:
        return {}


class _NoLabels:
    def join(self, uid: str, labels: Iterable[tuple[str, str]]) -> tuple[int, int]:
        return 0, len(list(labels))

    def accuracy(self, uid: str) -> Mapping[str, tuple[Accuracy, Accuracy]]:
        return {}

    def forget(self, uid: str) -> None:
        return
