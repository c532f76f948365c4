"""A shell in a pod of a cluster that nobody can dial into: over the agent's own link, and only where IT allows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_faults import GATED, let_go, logged
from cluster_play import ENVIRONMENTS, SYSTEM, World
from kubebox.cluster import Cluster

TEAM = "connected"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def it(component, clusters, tmp_path: Path) -> Iterator[tuple[World, Cluster]]:
    cluster = clusters.kubebox("cloud")
    component("buildah")
    made = World(tmp_path, component("helm")["helm"])
    try:
        made.serve()
        made.install(cluster, "edge", namespaces=(TEAM,), values={"connect": {"enabled": True}})
        made.attach("edge", "edge", TEAM)
        yield made, cluster
    finally:
        made.close()
        places = ("namespace", SYSTEM, TEAM, ENVIRONMENTS)
        cluster.kubectl("delete", *places, "--ignore-not-found", "--timeout=100s", limit_s=120)


def test_a_shell_in_a_pod(it: tuple[World, Cluster]) -> None:
    world, cluster = it
    world.submit("open", GATED, "edge")
    logged(world, "open", "begun")
    said = world.ferry("job", "connect", "open", "--", "sh", "-c", "echo hello; cat; ls /ferry >&2; exit 0")
    assert said == "hello\n"
    failed = world.ferry("job", "connect", "open", "--", "sh", "-c", "echo lost >&2; exit 7", ok=False)
    assert "lost" in failed
    absent = world.ferry("job", "connect", "open", "-i", "3", "--", "true", ok=False)
    assert "rank 3 of the job has no pod" in absent
    let_go(cluster, TEAM, "open")
    world.completes("open")
    assert "NotRunning" in world.ferry("job", "connect", "open", "--", "true", ok=False)
