"""What routers are told: a weight until all of them serve it, sixty endpoints, three routers that forward to owners."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.cluster_kit import SYSTEM, tests
from benchmarks.kit import stopwatch
from benchmarks.serving_kit import RouterPrograms, Stage
from benchmarks.serving_traffic import ENDPOINT, PATH
from benchmarks.wrk import measure
from ferryml.backends.kubernetes.routers import ClusterRouter
from ferryml.backends.kubernetes.slices import places_of
from ferryml.domain.routes import EndpointRoute, Peer, RevisionRoute, owner

ENDPOINTS, DEPLOYMENTS = 60, 100
"""What AzureML allows on one cluster."""
REPLICAS = 3
PORT = 8080


def weights(stage: Stage) -> None:
    """The agent is away, and we write the table as it does: from before the first request to the last receipt."""
    stage.traffic(ENDPOINT, blue=90, green=10, shadow=0)
    stage.agents(0)
    with stage.operator() as router:
        _weights(stage, router, "one router")


def many(stage: Stage) -> None:
    """As many endpoints and deployments as a cluster may have; those that are added have no pods."""
    seconds = 5 if stage.quick else 30
    with stage.operator() as router:
        known = _table(router)
        added = _filling(known)
        programs = RouterPrograms(stage.cluster)
        programs.tell(stage.figures, "before", cpu=False)
        with stopwatch() as took:
            for route in added:
                router.apply(route)
        what = f"{ENDPOINTS} endpoints, {DEPLOYMENTS} deployments"
        stage.figures.add(f"{what}: made one after another, each served after", took[0] / len(added) * 1000, "ms")
        with stopwatch() as took:
            router.look()
        stage.figures.add(f"{what}: one look at everything", took[0] * 1000, "ms")
        _weights(stage, router, what)
        time.sleep(5)  # until workers that were replaced are gone
        programs = RouterPrograms(stage.cluster)
        time.sleep(seconds)
        programs.tell(stage.figures, f"{what}, idle")
        for route in added:
            router.drop(route.uid)


def three(stage: Stage) -> None:
    """A router on each of three nodes of this machine: weights again, and what asking one that owns nothing costs."""
    if stage.quick:
        stage.figures.notes.append("three routers only without --quick")
        return
    images = tests("kubebox_images")
    for _ in range(REPLICAS - len(stage.cluster.nodes)):
        stage.cluster.add_node()
    for name in ("agent", "runner", "router"):
        stage.cluster.load_image(images.build(name))
    chart = str(tests("cluster_play").CHARTS / "ferry-agent")
    told = ("--reuse-values", "--set", f"inference.router.replicas={REPLICAS}", "--set", "agent.replicas=0")
    stage.world.helm(stage.cluster, "upgrade", "ferry", chart, *told)
    rollout = ("rollout", "status", "deployment/ferry-router", "-n", SYSTEM, "--timeout=180s")
    stage.cluster.kubectl(*rollout, limit_s=200)
    with stage.operator() as router:
        peers = _peers(stage)
        if len(peers) != REPLICAS:
            raise RuntimeError(f"{len(peers)} routers are ready, not {REPLICAS}")
        _weights(stage, router, "three routers")
        _owners(stage, router, peers)


def _weights(stage: Stage, router: ClusterRouter, what: str) -> None:
    """Back and forth under load; nobody may notice."""
    route = next(one for one in _table(router) if one.name == ENDPOINT)
    (one, other) = [name for name, weight in route.weights.items() if weight > 0][:2]
    took: list[float] = []
    with stage.callers(ENDPOINT, 2, 0.01) as callers:
        for number in range(20 if stage.quick else 100):
            share = 1 + number % 50
            with stopwatch() as once:
                router.apply(route.model_copy(update={"weights": {one: 100 - share, other: share}}))
            took.append(once[0] * 1000)
            time.sleep(0.05)
    router.apply(route)
    stage.figures.spread(f"{what}: a weight written and acknowledged", took, "ms")
    stage.figures.add(f"{what}: not answered meanwhile", stage.failed(callers), "requests")
    stage.figures.add(f"{what}: answered meanwhile", len(callers.answers()), "requests")


def _owners(stage: Stage, router: ClusterRouter, peers: Sequence[tuple[str, str]]) -> None:
    """One deployment has all the requests; its owner is asked, and one that must pass them on."""
    route = next(one for one in _table(router) if one.name == ENDPOINT)
    revision = max(route.weights, key=lambda name: route.weights[name])
    router.apply(route.model_copy(update={"weights": {revision: 100}}))
    time.sleep(3)  # until each has found the others alive
    mine = owner(tuple(Peer(name=name, address="") for name, _ in peers), route.uid, revision)
    host = {name == mine: host for name, host in peers}
    key, seconds = stage.serving.key(ENDPOINT), 5
    for connections in (1, 8, 32):
        for owned, words in ((True, "the owner asked"), (False, "passed on to the owner")):
            url = f"http://{host[owned]}:{PORT}{PATH}"
            rate, p50, p99 = measure(stage.base, url, connections, seconds, key, stage.node)
            of = f"{connections} connection{'s' * (connections > 1)}: three routers, {words}"
            stage.figures.add(of, rate, "requests/s")
            stage.figures.add(f"{of}, p50", p50, "ms")
            stage.figures.add(f"{of}, p99", p99, "ms")
    router.apply(route)


def _peers(stage: Stage) -> list[tuple[str, str]]:
    """(name, address) of each router that is ready."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{SYSTEM}/endpointslices"
    service = "kubernetes.io/service-name"
    found: Any = stage.cluster.api.get(path)["items"]
    bodies = [one for one in found if one["metadata"]["labels"].get(service) == "ferry-router-peers"]
    return [(place.pod, place.host) for place in places_of(bodies, "peers")]


def _table(router: ClusterRouter) -> tuple[EndpointRoute, ...]:
    return router.table.endpoints


def _filling(known: Sequence[EndpointRoute]) -> list[EndpointRoute]:
    """Endpoints up to the most there may be, with deployments up to theirs, shared out evenly."""
    endpoints = ENDPOINTS - len(known)
    deployments = DEPLOYMENTS - sum(len(one.revisions) for one in known)
    made = []
    for number in range(endpoints):
        count = deployments // endpoints + (number < deployments % endpoints)
        names = [f"e{number}d{part}" for part in range(count)]
        made.append(
            EndpointRoute(
                uid=f"endpoint.default.many{number}", name=f"many{number}", namespace=known[0].namespace,
                key_hashes=known[0].key_hashes, weights={names[0]: 100}, direct={name: name for name in names},
                revisions=tuple(RevisionRoute(revision=name, deployment=name) for name in names),
            )
        )  # fmt: skip
    return made
