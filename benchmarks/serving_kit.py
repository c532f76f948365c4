"""What the benchmarks of serving share: a site with a router, models that answer at once or slowly, and callers."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.cluster_kit import IMAGE, SYSTEM, W, cpu_s, processes, rss, tests
from benchmarks.kit import MIB, Figures, until
from ferryml.backends.kubernetes.access import from_kubeconfig
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.routers import ClusterRouter
from ferryml.bootstrap.router_hands import cluster_router

LIMIT_S = 180.0
PACKAGES = ("azureml-inference-server-http", "scikit-learn")
QUICKEST = "docker.io/library/ferry-router:bench"
"""Has HAProxy, which answers a request itself faster than anything that it is compared with passes one on."""
ANSWERS = """global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout client 60s
frontend model
    bind :5001
    http-request return status 200 content-type application/json string '{"predictions": [1]}'
"""
ROUTES = {f"{name}_route": {"port": 5001, "path": "/score"} for name in ("liveness", "readiness", "scoring")}
LITTLE = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "256Mi"}}
VALUES = {
    "cluster": {"default_image": IMAGE}, "router": {"threads": 2},
    "inference": {"enabled": True, "allowInsecureConnections": True},
}  # fmt: skip


class Stage:
    """One server, one cluster that has joined it, and the router in it."""

    def __init__(self, figures: Figures, world: Any, cluster: Any, base: Path, quick: bool) -> None:
        self.figures, self.world, self.cluster, self.base, self.quick = figures, world, cluster, base, quick
        self.serving = tests("serving_cluster_play").Serving(world, cluster, base)
        self.namespace: str = tests("serving_cluster_play").NAMESPACE
        self.node: str = cluster.at.namespace(0)
        """Network namespace of the node that everything runs on."""

    def install(self) -> None:
        """The site, and a compute on it."""
        images = tests("kubebox_images")
        for archive in (images.build("router"), images.build("router", "bench")):
            self.cluster.load_image(archive)
        self.world.install(self.cluster, "bench", namespaces=(self.namespace,), values=VALUES)
        self.world.attach(self.namespace, "bench", self.namespace)

    # models

    def quickest(self, endpoint: str, name: str, **fields: Any) -> dict[str, Any]:
        """A deployment that answers at once, 64 at a time in each instance."""
        start = 'printf "%s" "$ANSWERS" > /tmp/model.cfg && exec /usr/sbin/haproxy -db -f /tmp/model.cfg'
        return self._program(endpoint, name, QUICKEST, start, {"ANSWERS": ANSWERS}, fields)

    def sleeper(self, endpoint: str, name: str, takes_s: float, **fields: Any) -> dict[str, Any]:
        """A deployment that takes its time."""
        told = {"PROGRAM": tests("load_play").PROGRAM, "ROLE": "live", "TAKES_S": str(takes_s)}
        return self._program(endpoint, name, IMAGE, 'exec python3 -c "$PROGRAM"', told, fields)

    def _program(
        self, endpoint: str, name: str, image: str, command: str, told: dict[str, str], fields: dict[str, Any]
    ) -> dict[str, Any]:
        wanted = {
            "environment": {"name": "own", "image": image, "inference_config": ROUTES}, "resources": LITTLE,
            "command": command, "request_settings": {"max_concurrent_requests_per_instance": 64}, **fields,
        }  # fmt: skip
        wanted["environment_variables"] = {**told, **wanted.get("environment_variables", {})}
        made: dict[str, Any] = self.serving.document(endpoint, name, **wanted)
        return made

    def traffic(self, endpoint: str, **shares: int) -> float:
        """In effect when it returns; seconds that the server, the site and its routers took."""
        wanted = {
            self.serving.shown(endpoint, name)["ferry"]["serving"]: share for name, share in shares.items() if share
        }
        began = time.perf_counter()
        self.patch(endpoint, {"traffic": shares})
        until(lambda: self.shown(endpoint)["weights"] == wanted or None, LIMIT_S, 0.05)
        return time.perf_counter() - began

    def patch(self, endpoint: str, changes: dict[str, Any]) -> None:
        """Another traffic or mirror."""
        said = self.world.api.patch(f"{W}/online-endpoints/{endpoint}", json=changes)
        if said.is_error:
            raise RuntimeError(said.text)

    def shown(self, endpoint: str) -> dict[str, Any]:
        """What the site says of it."""
        found: dict[str, Any] = self.world.get(f"{W}/online-endpoints/{endpoint}")["ferry"]
        return found

    # places

    @functools.cached_property
    def router_url(self) -> str:
        """As callers inside the cluster reach it."""
        where = "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}"
        address = self.cluster.kubectl("get", "service", "ferry-router", "-n", SYSTEM, "-o", where)
        return f"http://{address.strip()}"

    def pod(self, endpoint: str, name: str) -> str:
        """Address of a pod of the deployment."""
        return str(self.serving.pods(endpoint, name)[0]["status"]["podIP"])

    def callers(self, endpoint: str, people: int, pause_s: float = 0.005) -> Any:
        """People who ask without end, for the block."""
        play = tests("system_play")
        return play.Callers(self.serving.uri(endpoint), self.serving.key(endpoint), people, pause_s)

    def failed(self, callers: Any) -> int:
        """How many of them were not answered well."""
        return sum(status != 200 for status, _ in callers.answers())

    def agents(self, replicas: int) -> None:
        """So many agents, which tell the routers what to do; with none we may."""
        self.cluster.kubectl("scale", "deployment/ferry-agent", "-n", SYSTEM, f"--replicas={replicas}")
        mine = "-l=app.kubernetes.io/name=ferry-agent"
        look: Callable[[], bool | None] = lambda: (  # noqa: E731  its type is told
            len(self.cluster.kubectl("get", "pods", "-n", SYSTEM, mine, "-o", "name").split()) == replicas or None
        )
        until(look, LIMIT_S, 0.2)

    @contextmanager
    def operator(self) -> Iterator[ClusterRouter]:
        """The operator's own hand on the routers, from this machine."""
        ways: dict[tuple[str, int], int] = {}

        def reach(place: Any) -> str:
            at = place.host, place.port
            if at not in ways:
                ways[at] = self.cluster.forward(*at)
            return f"127.0.0.1:{ways[at]}"

        kube = HttpKube(from_kubeconfig(self.cluster.kubeconfig))
        router = cluster_router(kube, SYSTEM, lambda: datetime.now(UTC), reach=reach)
        try:
            router.start()
            yield router
        finally:
            router.stop()
            kube.close()


class RouterPrograms:
    """HAProxy, sidecar and tap of the routers, and the agent, from outside."""

    def __init__(self, cluster: Any) -> None:
        found = processes(cluster, "ferry-router")
        self._found = {name: [one for one in found if _is(one, name)] for name in ("haproxy", "sidecar", "tap")}
        self._found["agent"] = processes(cluster, "ferry-agent", missing_ok=True)
        self._before = {name: cpu_s(some) for name, some in self._found.items()}
        self._began = time.perf_counter()

    def tell(self, figures: Figures, what: str, cpu: bool = True) -> None:
        """CPU since the start, memory now; of all routers together."""
        took = time.perf_counter() - self._began
        for name, some in self._found.items():
            if some and cpu:
                figures.add(f"{what}: {name}, CPU", (cpu_s(some) - self._before[name]) / took * 1000, "millicores")
            if some:
                figures.add(f"{what}: {name}, RSS", rss(some) / MIB, "MiB")


def _is(process: psutil.Process, name: str) -> bool:
    words = process.cmdline()
    return name == "haproxy" if words[0].endswith("haproxy") else name in words and "sh" not in words[0]
