"""One server and one cluster that has joined it, for all tests of a session; each test has a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_play import World
from kubebox.firewall import Firewall

NAMESPACES = ("team-a", "team-b")


@pytest.fixture(scope="session")
def joined(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server and the cluster `onprem` with two nodes as its site: outbound only, and pods without egress."""
    helm = component("helm")["helm"]
    component("buildah")
    folder: Path = tmp_path_factory.mktemp("world")
    made = World(folder, helm)
    try:
        made.serve()
        cluster = clusters.kubebox("onprem", nodes=2)
        # Ferry's own pods keep to the first node: tests kill the second
        values = {
            "nodeSelector": {"kubernetes.io/hostname": cluster.nodes[0].name},
            "gateway": {"store": {"kind": "claim", "size": "1Gi"}},
            "cluster": {"node_lost_s": 5},
        }
        made.install(cluster, "onprem", "eu-dc1", NAMESPACES, values, checkpoint_s=1)
        cluster.set_firewall(Firewall.parse("outbound-only,no-pod-egress"))
        for name in NAMESPACES:
            made.attach(name, "onprem", name)
        yield made
    finally:
        made.close()
