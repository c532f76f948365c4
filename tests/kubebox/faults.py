"""What goes wrong on a site, on demand, and back again."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

from kubebox.cluster import LET_OUT, Cluster
from kubebox.firewall import OPEN, Firewall
from kubebox.node import PROGRAMS, Node
from kubebox.processes import wait_for


def cut_link(cluster: Cluster) -> None:
    """Nothing passes between the site and this machine; neither end is told. The API stays reachable for tests."""
    cluster.set_firewall(replace(cluster.wall, link=False), cluster.let_out)


def restore_link(cluster: Cluster) -> None:
    """After `cut_link`."""
    cluster.set_firewall(replace(cluster.wall, link=True), cluster.let_out)


def freeze_node(node: Node) -> None:
    """The cluster loses sight of it (NotReady after some 20 s), while its pods go on."""
    for name in PROGRAMS:
        node.programs.send(name, signal.SIGSTOP)


def thaw_node(node: Node) -> None:
    """After `freeze_node`."""
    for name in PROGRAMS:
        node.programs.send(name, signal.SIGCONT)


def stop_api_server(cluster: Cluster) -> None:
    """At once, without goodbye."""
    cluster.programs.stop("apiserver", signal.SIGKILL)


def restart_api_server(cluster: Cluster) -> None:
    """Also after `stop_api_server`; it serves again when this returns."""
    cluster.programs.restart("apiserver")

    def serves() -> bool:
        if not cluster.programs.alive("apiserver"):  # the port is the killed one's till its last thread has ended
            cluster.programs.restart("apiserver")
        return cluster.api.ready()

    wait_for(serves, 120, f"the API server of {cluster.name} is not ready", cluster.tail, every_s=0.2)


def fake_resource(cluster: Cluster, node: Node, resource: str = "nvidia.com/gpu", count: int = 1) -> None:
    """Lets Kubernetes believe that a node has so many of a device; 0 takes them away."""
    path = f"/api/v1/nodes/{node.name}/status"
    amount = str(count) if count else None
    cluster.api.patch(path, {"status": {"capacity": {resource: amount}, "allocatable": {resource: amount}}})

    def seen() -> bool:
        allocatable = cluster.api.get(f"/api/v1/nodes/{node.name}")["status"]["allocatable"]
        return allocatable.get(resource) == amount

    wait_for(seen, 30, f"{node.name} has no {resource}", cluster.tail)


def taint(cluster: Cluster, node: Node, key: str, value: str = "", effect: str = "NoSchedule") -> None:
    """Keeps pods away that do not tolerate it."""
    cluster.kubectl("taint", "node", node.name, f"{key}={value}:{effect}", "--overwrite")


def heal(cluster: Cluster, wall: Firewall = OPEN, let_out: Sequence[str] = LET_OUT) -> None:
    """Takes back every fault, taint and fake device, and puts this firewall up; costs little when all is well."""
    if (cluster.wall, cluster.let_out) != (wall, list(let_out)):
        cluster.set_firewall(wall, let_out)
    if not cluster.programs.alive("apiserver"):
        restart_api_server(cluster)
    hurt = [node for node in cluster.nodes if not all(node.programs.alive(name) for name in PROGRAMS)]
    for node in hurt:
        node.kill()
        node.revive()
    for node in cluster.nodes:
        thaw_node(node)
    cluster.wait_ready(cluster.nodes)
    ours = {node.name for node in cluster.nodes}
    for seen in cluster.api.get("/api/v1/nodes")["items"]:
        if seen["metadata"]["name"] in ours:
            _undress(cluster, seen)


def _undress(cluster: Cluster, seen: dict) -> None:
    name, status = seen["metadata"]["name"], seen["status"]
    own = ("node.kubernetes.io/", "node-role.kubernetes.io/")
    taints = seen["spec"].get("taints", [])
    kept = [t for t in taints if t["key"].startswith(own)]
    if kept != taints:
        cluster.api.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": kept}})
    fakes = {resource: None for resource in status["capacity"] if "/" in resource}
    if fakes:
        cluster.api.patch(f"/api/v1/nodes/{name}/status", {"status": {"capacity": fakes, "allocatable": fakes}})
