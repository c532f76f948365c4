"""Any number of nodes that exist in the API alone, played by kwok: for load, where real pods would only cost memory."""

from __future__ import annotations

import signal
from pathlib import Path

from kubebox import control_groups
from kubebox.cluster import Cluster
from kubebox.processes import Programs, wait_for

LABELS = {"type": "kwok"}
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
READY_LIMIT_S = 120


def start(cluster: Cluster, kwok: Path | str, nodes: int, **resources: str) -> list[str]:
    """Names of so many nodes, ready. Pods there start and end at once; they must tolerate `TAINT`."""
    amount = {"cpu": "32", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti", **resources}
    if not _programs(cluster).alive("kwok"):
        selector = ",".join(f"{key}={value}" for key, value in LABELS.items())
        options = ["--manage-all-nodes=false", f"--manage-nodes-with-label-selector={selector}"]
        argv = [str(kwok), "--kubeconfig", str(cluster.kubeconfig), *options, "--cidr", "100.64.0.1/16"]
        _programs(cluster).start("kwok", [*argv, "--node-lease-duration-seconds", "40"])
    names = [f"fake-{number}" for number in range(nodes)]
    cluster.apply(*(_node(name, amount) for name in names))

    def ready() -> bool:
        found = cluster.api.get("/api/v1/nodes", labelSelector="type=kwok")["items"]
        return sum("Ready" in _true(node) for node in found) >= nodes

    wait_for(ready, READY_LIMIT_S, "played nodes are not ready", lambda: _programs(cluster).tail("kwok"), every_s=0.3)
    return names


def stop(cluster: Cluster) -> None:
    """The nodes, and who plays them."""
    cluster.kubectl("delete", "nodes", "-l", "type=kwok", "--ignore-not-found")
    _programs(cluster).stop("kwok", signal.SIGTERM)


def _programs(cluster: Cluster) -> Programs:
    return Programs(cluster.folder, "", control_groups.entrance(cluster.at.name))


def _node(name: str, amount: dict[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": LABELS | {"kubernetes.io/hostname": name}},
        "spec": {"taints": [TAINT]},
        "status": {"allocatable": amount, "capacity": amount},
    }


def _true(node: dict) -> set[str]:
    return {c["type"] for c in node.get("status", {}).get("conditions", []) if c["status"] == "True"}
