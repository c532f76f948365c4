"""One endpoint on two clusters, `cloud` and `plant`: what is asked of it, and what its sites have of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import kubebox_images as images
from cluster_play import IMAGE, SYSTEM, World, merged
from ferryml.compile.kubernetes.labels import REVISION
from kubebox.cluster import Cluster
from serving_cluster_play import NAMESPACE, PROBE, SMALL, VALUES
from system_play import Callers, W, until

CLUSTERS = ("cloud", "plant")
"""Names of the sites and computes, too."""
NODE_PORT = 30480
OFFLINE_S = "18"
PATIENT = {
    "max_concurrent_requests_per_instance": 8, "max_queue_wait_ms": 20_000, "request_timeout_ms": 20_000,
}  # fmt: skip
"""What a machine with too much to do answers late is no harm."""
ROUTE = {"port": 5001, "path": "/score"}
OWN = {
    "name": "own", "image": IMAGE,
    "inference_config": {"liveness_route": ROUTE, "readiness_route": ROUTE, "scoring_route": ROUTE},
}  # fmt: skip
SERVE = """
import http.server, json, os, signal
class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *said): pass
    def do_GET(self):
        body = json.dumps(os.environ["WHO"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Door).serve_forever()
"""
"""Says who it is; needs nothing that would have to be installed."""


@contextmanager
def installed(clusters, component, folder: Path) -> Iterator[Spread]:
    """A server that soon notices silence, and both clusters joined, each with a compute of its name."""
    helm = component("helm")["helm"]
    component("buildah")
    world = World(folder, helm, FERRY_SERVER_SITE_OFFLINE_S=OFFLINE_S)
    try:
        world.serve()
        clusters.start(**dict.fromkeys(CLUSTERS, 1))
        found = {name: clusters.kubebox(name) for name in CLUSTERS}
        for name in ("agent", "runner", "router"):
            images.build(name)
        with ThreadPoolExecutor() as several:
            list(several.map(lambda one: _join(world, *one), found.items()))
        yield Spread(world, found)
    finally:
        world.close()


def _join(world: World, name: str, cluster: Cluster) -> None:
    """Its router says where this machine reaches it."""
    cluster.load_image(images.build("router"))
    door = {"router": {"service": {"type": "NodePort", "nodePort": NODE_PORT}}}
    address = f"http://127.0.0.1:{cluster.forward(cluster.at.node(0), NODE_PORT)}"
    values = merged(VALUES, {"inference": door, "cluster": {"router_url": address}})
    world.install(cluster, name, "", (NAMESPACE,), values)
    world.attach(name, name, NAMESPACE)


class Spread:
    """Endpoints on both clusters; `point` is the one that most is done to."""

    def __init__(self, world: World, clusters: Mapping[str, Cluster]) -> None:
        self.world, self.clusters = world, clusters
        self.before = {name: self.things(name) for name in CLUSTERS}

    # what is asked

    def write(self, name: str, document: Mapping[str, Any]) -> str:
        """A file in the folder where `ferry` runs."""
        (self.world.folder / name).write_text(json.dumps(document))
        return name

    def deployment(self, who: str, endpoint: str = "point", name: str = "blue") -> dict[str, Any]:
        return {
            "name": name, "type": "kubernetes", "endpoint_name": endpoint, "environment": OWN,
            "command": f"exec python3 -c '{SERVE}'", "environment_variables": {"WHO": who},
            "resources": SMALL, "readiness_probe": PROBE, "liveness_probe": PROBE, "request_settings": PATIENT,
        }  # fmt: skip

    def renew(self, who: str, *more: str) -> Any:
        """Another revision of `point`'s deployment; the deployment as `ferry` tells of it."""
        said = ("-n", "blue", "-e", "point", "--set", f"environment_variables.WHO={who}", *more)
        return json.loads(self.world.ferry("online-deployment", "update", *said))

    def asks(self, compute: str, key: str, endpoint: str = "point", where: str = "") -> Any:
        """At the compute's own address: the answer, or the status that is not 200."""
        head = {"Authorization": f"Bearer {key}"}
        uri = where or self.uri(compute, endpoint)
        said = httpx.post(uri, json={}, headers=head, timeout=20, trust_env=False)
        return said.json() if said.status_code == 200 else said.status_code

    def callers(self, compute: str) -> Callers:
        return Callers(self.uri(compute), self.key(), pause_s=0.05)

    # what the server says

    def told(self, endpoint: str = "point") -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(f"{W}/online-endpoints/{endpoint}")
        return found

    def site(self, compute: str, endpoint: str = "point") -> dict[str, Any]:
        found: dict[str, Any] = self.told(endpoint)["ferry"]["sites"][compute]
        return found

    def uri(self, compute: str, endpoint: str = "point") -> str:
        return str(self.site(compute, endpoint)["scoring_uri"])

    def key(self, endpoint: str = "point") -> str:
        return str(self.world.get(f"{W}/online-endpoints/{endpoint}/keys")["primaryKey"])

    def tried(self, compute: str) -> int:
        """How many revisions of `point`'s deployment this compute was ever told of."""
        shown = self.world.get(f"{W}/online-endpoints/point/deployments/blue")
        return len(shown["ferry"]["sites"][compute]["revisions"])

    # what the clusters have

    def listed(self, compute: str, kind: str, endpoint: str = "point") -> list[dict[str, Any]]:
        """The endpoint's objects that are not on their way out."""
        said = self.clusters[compute].kubectl("get", kind, "-n", NAMESPACE, "-o", "json")
        whose = [(one["metadata"].get("annotations", {}), one) for one in json.loads(said)["items"]]
        mine = [one for notes, one in whose if notes.get("ferryml.dev/name", "").partition("/")[0] == endpoint]
        return [one for one in mine if "deletionTimestamp" not in one["metadata"]]

    def pods(self, compute: str) -> dict[str, str]:
        """Uid -> revision."""
        found = [one["metadata"] for one in self.listed(compute, "pods")]
        return {one["uid"]: one["labels"][REVISION] for one in found}

    def wished(self, compute: str, who: str) -> bool:
        """Whether its site has heard that this one shall serve."""
        (body,) = self.listed(compute, "onlineendpoints")
        asked = body["spec"]["order"]["revisions"]
        return any(one["environment_variables"].get("WHO") == who for one in asked)

    def things(self, compute: str) -> set[str]:
        """Every object in the namespaces of people and of Ferry, but what comes and goes by itself, and the policies,
        which are the namespace's."""
        cluster = self.clusters[compute]
        kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        kept = ",".join(
            sorted({kind for kind in kinds if not kind.startswith(("events", "leases", "networkpolicies"))})
        )
        return {
            f"{namespace}/{line}"
            for namespace in (NAMESPACE, SYSTEM)
            for line in cluster.kubectl("get", kept, "-n", namespace, "-o", "name").splitlines()
        }

    def left(self, compute: str) -> list[str]:
        """What was not there before the first endpoint."""
        return sorted(self.things(compute) - self.before[compute])

    # waiting

    def until(self, true: Any, within_s: float = 60) -> None:
        until(true, within_s, self.story)

    def until_one_pod(self, compute: str) -> dict[str, str]:
        """Of `point`, once what served before has gone."""
        self.until(lambda: len(self.pods(compute)) == 1)
        return self.pods(compute)

    def settled(self, within_s: float = 90) -> None:
        """`point` is everywhere what was asked, and nothing waits."""
        self.until(lambda: self.told()["provisioning_state"] == "Succeeded", within_s)

    def story(self) -> str:
        """All that is known, for a test that waits in vain."""
        endpoints = json.dumps(self.world.get(f"{W}/online-endpoints"), indent=1)
        parts = [
            one.kubectl("get", "oe,od,deploy,pods", "-n", NAMESPACE, check=False) for one in self.clusters.values()
        ]
        return "\n".join([endpoints, *parts, self.world.tail()])
