"""A site that builds images: a real cluster, a real registry that wants a password, and folders with Dockerfiles."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubebox_images as images
from cluster_play import IMAGE, World
from ferryml.compile.serving import SERVER
from fixtures_registry import ImageRegistry, running_registry
from kubebox.cluster import Cluster
from kubebox.firewall import Firewall
from kubebox.images import make_base
from system_play import W

BUILDS, NAMESPACE = "ferry-builds", "team-a"
LET_OUT = ("ferry-system/ferry-*", f"{BUILDS}/build-*")
LOG = "system_logs/environment.log"


class Building:
    """One world whose site has a registry; `base` is an image there that nobody has without a password."""

    def __init__(self, world: World, cluster: Cluster, registry: ImageRegistry, address: str) -> None:
        self.world, self.cluster, self.registry, self.address = world, cluster, registry, address
        self.base = f"{address}/team/python:3.11"

    @property
    def secret(self) -> str:
        """The password, as it stands in the Secret."""
        return base64.b64encode(f"{self.registry.user}:{self.registry.password}".encode()).decode()

    def folder(self, name: str, dockerfile: str, **files: str) -> Path:
        """A build context; its Dockerfile goes on where `FROM` the private image has begun."""
        made = self.world.folder / name
        made.mkdir()
        (made / "Dockerfile").write_text(f"FROM {self.base}\n{textwrap.dedent(dockerfile).strip()}\n")
        for file, text in files.items():
            (made / file.replace("_", ".")).write_text(text)
        return made

    def environment(self, name: str, context: Path, version: str = "1", **fields: Any) -> dict[str, Any]:
        """Registered from a file, as people do it."""
        file = self.world.folder / f"{name}-{version}.json"
        file.write_text(json.dumps({"name": name, "version": version, "build": {"path": str(context)}, **fields}))
        self.world.ferry("environment", "create", "-f", str(file))
        return self.shown(name, version)

    def shown(self, name: str, version: str = "1") -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(f"{W}/environments/{name}/versions/{version}")
        return found

    def builds(self) -> int:
        """How many were begun on this cluster."""
        said = self.cluster.kubectl("logs", "-n", "ferry-system", "deployment/ferry-agent", "--tail=-1")
        return said.count("is being built")


@contextmanager
def installed(clusters, component, folder: Path) -> Iterator[Building]:
    """A cluster whose pods reach nothing outside, but for Ferry's own and builds; no node has the base image."""
    helm = component("helm")["helm"]
    with running_registry(component("registry")["docker-registry"], component("buildah")["skopeo"]) as registry:
        world = World(folder, helm, (SERVER, "six"))
        try:
            world.serve()
            cluster = clusters.kubebox("cloud")
            address = cluster.expose(registry.port)
            for node in cluster.nodes:
                node.trust_registry(address)
            registry.push(make_base(), "team/python:3.11")
            for name in ("router", "builder"):
                cluster.load_image(images.build(name))
            made = Building(world, cluster, registry, address)
            _give_passwords(made)
            world.install(cluster, "cloud", "eu", (NAMESPACE,), _values(made))
            wall, let_out = cluster.wall, cluster.let_out
            try:
                cluster.set_firewall(Firewall.parse("outbound-only,no-pod-egress"), let_out=list(LET_OUT))
                world.attach(NAMESPACE, "cloud", NAMESPACE)
                yield made
            finally:
                cluster.set_firewall(wall, let_out)
                cluster.kubectl("delete", "namespace", BUILDS, "--timeout=60s", check=False)
        finally:
            world.close()


def _values(made: Building) -> dict[str, Any]:
    network = f"{made.cluster.hub}/32"
    return {
        "builds": {
            "registry": made.address, "secret": "push", "insecure": True, "networks": [network], "create": False,
        },
        "cluster": {
            "image_pull_secrets": "pull", "default_image": IMAGE, "build_memory": "1Gi", "build_cpu": "100m",
        },
        "router": {"threads": 1},
        "inference": {"enabled": True, "allowInsecureConnections": True},
    }  # fmt: skip


def _give_passwords(made: Building) -> None:
    """As IT does: one for nodes, in the namespace of the compute; one for builds, in theirs."""
    levels = {BUILDS: "privileged", NAMESPACE: "baseline"}
    for namespace, name in ((NAMESPACE, "pull"), (BUILDS, "push")):
        labels = {"pod-security.kubernetes.io/enforce": levels[namespace]}
        place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
        made.cluster.apply(place)
        secret = {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name},
            "stringData": {".dockerconfigjson": json.dumps({"auths": {made.address: {"auth": made.secret}}})},
        }  # fmt: skip
        made.cluster.apply(secret, namespace=namespace)
