"""The router in a real cluster without the rest of a site: installed by the chart, driven as the operator drives it."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

import kubebox_images as images
from cluster_faults import kill_within
from cluster_play import CHARTS, IMAGE
from ferryml.backends.kubernetes.access import from_kubeconfig
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.routers import ClusterRouter
from ferryml.bootstrap.router_hands import cluster_router
from ferryml.compile.kubernetes.labels import KIND, REVISION
from ferryml.domain.errors import Unavailable
from ferryml.domain.routes import EndpointRoute, RevisionRoute, Upstream
from https_play import Authority
from kubebox.cluster import Cluster
from router_load import TLS_NAME
from router_play import KEY, OTHER, digest
from system_play import until

SYSTEM = "ferry-routers"
TEAM = "serving"
SNI = {"sni_hostname": TLS_NAME}
T = TypeVar("T")
ROUTERS = "-l=app.kubernetes.io/name=ferry-router"
MODEL = """
import http.server, json, os, signal, threading, time
lock, active, most = threading.Lock(), 0, 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer(b"ok")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        global active, most
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(float(os.environ["TOOK"]))
        with lock:
            active -= 1
        self.answer(json.dumps([os.environ["SAYS"], os.environ["POD"], most]).encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("", 5001), Handler)
server.daemon_threads = True
def leave(*_):  # as a pod should: serve on until nobody sends any more
    threading.Thread(target=lambda: (time.sleep(3), server.shutdown())).start()
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
"""


class RouterSite:
    """One release of the chart in a cluster, without its agent: the test is the operator."""

    def __init__(self, cluster: Cluster, folder: Path, helm: str, **router: Any) -> None:
        self.cluster, self._folder, self._helm = cluster, folder, helm
        self._authorities = 0
        self._ports: dict[tuple[str, int], int] = {}
        self.weights: dict[str, int] = {}
        self.keys: tuple[str, ...] = (KEY, OTHER)
        self.limits: dict[str, int] = {
            "max_concurrent_requests": 20, "max_queue_wait_ms": 20_000, "request_timeout_ms": 60_000,
        }  # fmt: skip
        self.revisions: dict[str, str] = {}
        self.tls = self.renew()
        self._install(router)
        access = from_kubeconfig(cluster.kubeconfig)
        self.kube = HttpKube(access)
        self.router: ClusterRouter = cluster_router(
            self.kube, SYSTEM, lambda: datetime.now(UTC), reach=lambda p: f"127.0.0.1:{self.way(p.host, p.port)}"
        )
        self.router.start()

    def close(self) -> None:
        self.router.stop()
        self.kube.close()

    def remove(self) -> None:
        """Pods first: a namespace waits as long as the grace of a pod that it saw."""
        for where in (SYSTEM, TEAM):
            self.cluster.kubectl("delete", "deployments", "--all", "-n", where, "--timeout=60s", limit_s=90)
        self.cluster.kubectl("delete", "pods", ROUTERS, "-n", SYSTEM, "--grace-period=0", "--force", limit_s=90)
        self.cluster.kubectl("delete", "namespace", SYSTEM, TEAM, "--timeout=60s", limit_s=90)

    def renew(self) -> ssl.SSLContext:
        """Another certificate of another authority in the Secret; what trusts it alone."""
        self._authorities += 1
        authority = Authority(self._folder, f"authority-{self._authorities}", names=(TLS_NAME,))
        chain, key = authority.server_files()
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        self.cluster.apply({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "score-tls", "namespace": SYSTEM},
            "type": "kubernetes.io/tls", "stringData": {"tls.crt": chain.read_text(), "tls.key": key.read_text()},
        })  # fmt: skip
        return ssl.create_default_context(cafile=str(authority.bundle))

    def _install(self, router: Mapping[str, Any]) -> None:
        for name in ("agent", "router"):
            self.load(name)
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
        chosen = {
            "site": {"name": "alone", "server_url": "https://ferry.invalid"}, "namespaces": [TEAM],
            "images": {"tag": "latest", "pullPolicy": "Never"}, "agent": {"replicas": 0},
            "gateway": {"store": {"kind": "ephemeral"}}, "router": {"threads": 1, "idle_timeout_s": 5},
            "inference": {
                "enabled": True, "tls": {"secret": "score-tls", "cname": TLS_NAME},
                "router": {
                    "service": {"type": "NodePort"}, **router,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "512Mi"},
                    },
                },
            },
        }  # fmt: skip
        file = self._folder / "values.json"
        file.write_text(json.dumps(chosen))
        failed = self.helm("upgrade", "--install", "alone", str(CHARTS / "ferry-agent"), "--values", str(file))
        assert not failed, failed
        rollout = ("rollout", "status", "deployment/ferry-router", "-n", SYSTEM, "--timeout=120s")
        assert "successfully" in self.cluster.kubectl(*rollout, limit_s=150), self.tail()

    def scale(self, replicas: int) -> str:
        """What Helm says when it does not do it."""
        chart = (str(CHARTS / "ferry-agent"), "--values", str(self._folder / "values.json"))
        refused = self.helm("upgrade", "alone", *chart, "--set", f"inference.router.replicas={replicas}")
        if not refused:
            rollout = ("rollout", "status", "deployment/ferry-router", "-n", SYSTEM, "--timeout=150s")
            assert "successfully" in self.cluster.kubectl(*rollout, limit_s=180), self.tail()
        return refused

    def helm(self, *args: str) -> str:
        """What it says when it fails."""
        argv = [self._helm, *args, "--namespace", SYSTEM, "--kubeconfig", str(self.cluster.kubeconfig)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
        return done.stderr[-3000:] if done.returncode else ""

    def load(self, name: str) -> None:
        """The image on every node, new ones too."""
        self.cluster.load_image(images.build(name))

    def way(self, host: str, port: int) -> int:
        """A port of 127.0.0.1 that leads there."""
        if (host, port) not in self._ports:
            self._ports[host, port] = self.cluster.forward(host, port)
        return self._ports[host, port]

    @property
    def port(self) -> int:
        """Of 127.0.0.1, to the scoring address that the operator tells people."""
        assert self.router.url.startswith(f"https://{TLS_NAME}:"), self.router.url
        node = self.cluster.kubectl(
            "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
        )
        return self.way(node, int(self.router.url.rpartition(":")[2]))

    def pods(self, *where: str) -> list[str]:
        """Names of router pods, or of those chosen."""
        where = where or ("-n", SYSTEM, ROUTERS)
        listed = self.cluster.kubectl("get", "pods", *where, "--field-selector=status.phase=Running", "-o", "name")
        return sorted(name.partition("/")[2] for name in listed.split())

    # models

    def model(self, revision: str, says: str, replicas: int = 1, took: float = 0.0) -> None:
        """A Deployment and its headless Service, as the operator of endpoints makes them."""
        labels = {KIND: "endpoint", REVISION: revision}
        container = {
            "name": "inference-server", "image": IMAGE, "imagePullPolicy": "Never",
            "command": ["python3", "-c", MODEL],
            "env": [
                {"name": "SAYS", "value": says}, {"name": "TOOK", "value": str(took)},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "ports": [{"name": "score", "containerPort": 5001}],
            "readinessProbe": {
                "httpGet": {"path": "/", "port": "score"}, "periodSeconds": 1, "timeoutSeconds": 10,
            },
        }  # fmt: skip
        pod = {"terminationGracePeriodSeconds": 10, "containers": [container]}
        metadata = {"name": f"model-{revision}", "namespace": TEAM, "labels": labels}
        deployment = {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }  # fmt: skip
        service = {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {
                "clusterIP": "None", "selector": labels,
                "ports": [{"name": "score", "port": 5001, "targetPort": "score"}],
            },
        }  # fmt: skip
        self.cluster.apply(deployment, service)
        self.revisions[revision] = f"dep-{revision[0]}"
        self.cluster.kubectl(
            "rollout", "status", f"deployment/model-{revision}", "-n", TEAM, "--timeout=60s", limit_s=90
        )

    def route(self) -> EndpointRoute:
        revisions = tuple(
            RevisionRoute(
                revision=name, deployment=deployment, upstreams=(Upstream(instance=1, port=1),), **self.limits
            )
            for name, deployment in self.revisions.items()
        )
        return EndpointRoute(
            uid="endpoint.ws.digits", name="digits", namespace=TEAM, key_hashes=tuple(map(digest, self.keys)),
            weights=self.weights, direct={d: r for r, d in self.revisions.items()}, revisions=revisions,
        )  # fmt: skip

    def apply(self) -> None:
        self.router.apply(self.route())

    @contextmanager
    def client(self, tls: ssl.SSLContext | None = None) -> Iterator[httpx.Client]:
        with httpx.Client(verify=tls or self.tls, trust_env=False, timeout=20) as made:
            yield made

    def ask(self, key: str = KEY, client: httpx.Client | None = None, **headers: str) -> httpx.Response:
        """One prediction from outside."""
        said = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = f"https://127.0.0.1:{self.port}/api/v1/endpoint/digits/score"
        if client is not None:
            return client.post(url, content=b"[1]", headers=said, extensions=SNI)
        with self.client() as fresh:
            return fresh.post(url, content=b"[1]", headers=said, extensions=SNI)

    def kill(self, pod: str, container: str, pattern: str) -> None:
        """-9 for one program of a router pod."""
        kill_within(self.cluster, SYSTEM, pod, container, pattern)

    def is_trusted(self, tls: ssl.SSLContext) -> bool:
        """Whether the router shows a certificate that `tls` knows."""
        try:
            with self.client(tls) as client:
                return client.get(f"https://127.0.0.1:{self.port}/healthz", extensions=SNI).status_code == 200
        except httpx.ConnectError:
            return False

    async def aside(self, call: Callable[[], T]) -> T:
        """While callers go on."""
        return await asyncio.to_thread(call)

    async def until(self, true: Callable[[], object], within_s: float = 20) -> None:
        await asyncio.to_thread(self.settles, true, within_s)

    async def eventually(self, call: Callable[[], object], within_s: float = 30) -> None:
        """Again and again while the cluster or its routers do not answer, as the operator does."""

        def done() -> bool:
            try:
                call()
            except Unavailable:
                return False
            return True

        await self.until(done, within_s)

    def settles(self, true: Any, within_s: float = 30) -> None:
        until(true, within_s, self.tail)

    def tail(self) -> str:
        """What the routers said last."""
        parts = [self.cluster.kubectl("get", "pods", "-A", "-o", "wide", check=False)]
        for container in ("sidecar", "tap", "haproxy"):
            where = ("-n", SYSTEM, ROUTERS, "-c", container, "--tail=20", "--prefix")
            parts.append(self.cluster.kubectl("logs", *where, check=False))
        parts.append(self.cluster.kubectl("describe", "pods", "-n", SYSTEM, ROUTERS, check=False)[-3000:])
        return "\n".join(parts)
