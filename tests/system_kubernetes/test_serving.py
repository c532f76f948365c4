"""Endpoints on real pods: from a scoring script to answers, updates that leave what serves alone, failures in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_play import World
from serving_cluster_play import NAMESPACE, PACKAGES, Serving, says


@pytest.fixture(scope="module")
def serving(clusters, component, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server, and a cluster of one node that has joined it."""
    helm = component("helm")["helm"]
    component("buildah")
    folder: Path = tmp_path_factory.mktemp("serving")
    world = World(folder, helm, PACKAGES)
    try:
        world.serve()
        cluster = clusters.kubebox("cloud")
        world.install(cluster, "cloud", "eu", (NAMESPACE,), {"cluster": {"image_patience_s": 10}})
        world.attach(NAMESPACE, "cloud", NAMESPACE)
        yield Serving(world, cluster, folder)
    finally:
        world.close()


def test_a_script_becomes_pods_that_answer(serving: Serving) -> None:
    serving.endpoint("first")
    serving.deploy(serving.document("first", score=says("old"), instance_count=2))
    shown = serving.shown("first")
    assert shown["provisioning_state"] == "Succeeded", shown
    pods = serving.pods("first")
    assert [serving.ask_pod(pod) for pod in pods] == [["old"], ["old"]]
