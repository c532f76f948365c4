"""A cluster backend over the API server in memory, with a gateway that says what it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryml.backends.kubernetes.builds import Builds
from ferryml.backends.kubernetes.gangs import Gangs
from ferryml.backends.kubernetes.jobs import KubeJobs
from ferryml.backends.kubernetes.kinds import JOBS
from ferryml.backends.kubernetes.kube import Manifest, name_of
from ferryml.backends.kubernetes.ledger import KubeLedger
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes.cluster import Cluster, cluster_of
from ferryml.domain.orders import EnvironmentOrder, JobOrder, Json
from ferryml.domain.seen import JobSeen, Launch
from kube_play import PlayKube, a_node, a_pod
from site_play import PlayClock, a_job, a_wish

PLAIN = EnvironmentOrder(key="plain", image="python:3.11")
SYSTEM, ENVIRONMENTS, BUILDS = "ferry-system", "ferry-environments", "ferry-builds"
LIMIT_S = 5.0


@dataclass
class PlayDoor:
    """What the gateway knows; `admitted` holds (uid, attempt, namespace, prefix, kind)."""

    told: dict[tuple[str, int], dict[int, dict[str, Any]]] = field(default_factory=dict)
    environments: dict[str, dict[str, Json]] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    admitted: list[tuple[str, int, str, str, str]] = field(default_factory=list)
    logs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    closed: list[tuple[str, int, int]] = field(default_factory=list)
    sources: dict[str, dict[str, Mapping[str, Json]]] = field(default_factory=dict)

    def admit_pods(self, uid: str, attempt: int, grant: str, namespace: str, prefix: str, kind: str = "job") -> str:
        self.admitted.append((uid, attempt, namespace, prefix, kind))
        return ""

    def allow_sources(self, uid: str, sources: Mapping[str, Mapping[str, Json]]) -> None:
        self.sources[uid] = dict(sources)

    def close_attempt(self, uid: str, attempt: int, exit_code: int) -> None:
        self.closed.append((uid, attempt, exit_code))

    def states(self, uid: str, attempt: int) -> dict[int, dict[str, Any]]:
        return self.told.get((uid, attempt), {})

    def prepared(self, key: str) -> dict[str, Json] | None:
        return self.environments.get(key)

    def built(self, key: str) -> str:
        return self.images.get(key, "")

    def keep_built(self, key: str, image: str) -> None:
        self.images[key] = image

    def append_log(self, uid: str, attempt: int, path: str, data: bytes) -> None:
        self.logs[uid, path] = self.logs.get((uid, path), b"") + data


class PlayCluster:
    """Everything that the agent of a cluster has, without its loops. `close` it."""

    def __init__(self, **knobs: Any) -> None:
        self.kube = PlayKube({"default", "team", SYSTEM, ENVIRONMENTS, BUILDS})
        self.kube.write(a_node())
        self.clock, self.door, self.woken = PlayClock(), PlayDoor(), 0
        self.knobs: Cluster = cluster_of(
            {"system_namespace": SYSTEM, **knobs}, gateway_url="https://g", ca="PEM", main_sh="true", prepare_sh="true",
            kubernetes=(1, 34),
        )  # fmt: skip
        self.ledger = KubeLedger(self.kube, SYSTEM, (), self.clock)
        self.ledger.open()
        self.watched = Watched(self.kube, (), self._wake, self.ledger.heard, self.ledger.sighted)
        self.watched.start(LIMIT_S)
        patience = Patience(60, self.clock)
        self.patience = patience
        environments = self.preparations()
        gangs = Gangs(self.kube, self.watched, self.knobs, self.clock)
        self.jobs = KubeJobs(
            self.kube, self.watched, self.door, environments, self.knobs, self.ledger.held, patience, gangs, self.clock,
            self.ledger.settled,
        )  # fmt: skip

    def preparations(self) -> Preparations:
        """As an agent has them that has just started."""
        builds = Builds(self.kube, self.watched, self.door, self.knobs, self.patience, self.clock)
        return Preparations(
            self.kube, self.watched, self.door, self.knobs, self.patience, self.clock, self._wake, builds
        )

    def close(self) -> None:
        self.watched.stop()
        self.kube.cut_watches()
        self.ledger.close()

    def launch(self, order: JobOrder | None = None, uid: str = "job.w.j", attempt: int = 1) -> JobOrder:
        """As the operator does: the wish is written down, the environment is there."""
        order = order or a_job(namespace="team", environment=PLAIN)
        if self.ledger.wish(uid) is None:
            self.ledger.take([a_wish(order, uid=uid)], "e", 1)
        self.jobs.prepare(order.environment, uid, "grant")
        self.jobs.launch(
            Launch(uid=uid, attempt=attempt, order=order, gateway_url="", token="", env_key=order.environment.key)
        )
        return order

    def job(self, namespace: str = "team") -> Manifest:
        """The newest Job there."""
        return max(self.kube.list(JOBS, namespace).items, key=lambda body: int(body["metadata"]["resourceVersion"]))

    def pod(self, job: Manifest, rank: int = 0, **status: Any) -> Manifest:
        """The Job controller and kubelet at work; seen once this returns."""
        body = self.kube.write(a_pod(job, rank=rank, **status))
        self.sees(lambda: self.watched.pods.get(body["metadata"]["namespace"], name_of(body)) == _slim(self, body))
        return body

    def write(self, body: Manifest) -> Manifest:
        """Some other controller writes a Job."""
        made = self.kube.write(body)
        place = made["metadata"]["namespace"], name_of(made)
        version = made["metadata"]["resourceVersion"]
        self.sees(
            lambda: ((self.watched.jobs.get(*place) or {}).get("metadata") or {}).get("resourceVersion") == version
        )
        return made

    def seen(self, uid: str = "job.w.j", attempt: int = 1) -> JobSeen:
        return self.jobs.observe(uid, attempt)

    def sees(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end, "the caches never saw it"
            time.sleep(0.002)

    def settle(self) -> None:
        """Until the caches hold what the API server does."""

        def same() -> bool:
            here = {name_of(body): body["metadata"]["resourceVersion"] for body in self.watched.jobs.all()}
            there = {name_of(body): body["metadata"]["resourceVersion"] for body in self.kube.list(JOBS).items}
            return here == there

        self.sees(same)

    def _wake(self, uid: str = "") -> None:
        self.woken += 1
        if hasattr(self, "jobs"):
            self.jobs.news.tell(uid)


def _slim(cluster: PlayCluster, body: Manifest) -> Manifest | None:
    found = cluster.watched.pods.get(body["metadata"]["namespace"], name_of(body))
    same = found is not None and found["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]
    return found if same else {"not": "yet"}
