"""Real Kubernetes clusters for tests: kubebox's own, or those that KUBECONFIG names.

`clusters("cloud", nodes=2)` starts a cluster on first use and keeps it for the session; `cluster`, `onprem` and
`namespace` are the short ways. `clusters.kubebox(...)` is for tests that need its faults and firewalls.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures_components import INSTALL_LIMIT_S, not_run
from kubebox import cluster as kube
from kubebox import faults
from kubebox.cluster import Cluster
from kubebox.places import run_folder

NAMES = ("cloud", "onprem")
FOLDER = "system_kubernetes"
TEST_LIMIT_S = INSTALL_LIMIT_S + 600


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Cluster tests run when they are named: `pytest tests/system_kubernetes`, as `make test` does after the rest."""
    named = any(FOLDER in argument for argument in config.args)
    return True if collection_path.name == FOLDER and not named else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests on clusters wait for images, nodes and pods."""
    if f"/{FOLDER}/" in item.path.as_posix() and not item.get_closest_marker("timeout"):
        item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))


class GivenCluster:
    """A cluster that is not ours: no faults, no images, nothing started or stopped."""

    def __init__(self, name: str, kubeconfig: Path) -> None:
        self.name = name
        self.kubeconfig = kubeconfig

    def kubectl(self, *argv: str, given: str | None = None, check: bool = True, limit_s: float = 120) -> str:
        """What kubectl says."""
        return kube.kubectl(self.kubeconfig, *argv, given=given, check=check, limit_s=limit_s)

    def apply(self, *objects: dict[str, Any], namespace: str = "") -> None:
        """Manifests as mappings."""
        where = ("--namespace", namespace) if namespace else ()
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", *where, "-f", "-", given=json.dumps(everything))


class Clusters:
    """Starts a cluster on first use."""

    def __init__(self, need: Callable[[str], Mapping[str, str]], fail: Callable[[str], None]) -> None:
        self._need, self._fail = need, fail
        self._given = given_clusters()
        self._own: dict[str, Cluster] = {}

    def __call__(self, name: str = "cloud", nodes: int = 1) -> Cluster | GivenCluster:
        """The cluster of this name, with so many nodes at least where it is ours."""
        return self._given[name] if name in self._given else self.kubebox(name, nodes)

    def kubebox(self, name: str = "cloud", nodes: int = 1) -> Cluster:
        """The same for tests that need faults, firewalls, images or more nodes."""
        given = self._given.get(name)
        if isinstance(given, GivenCluster) or (self._given and given is None):
            self._fail("kubebox clusters: KUBECONFIG names clusters whose network and nodes are not the tests'")
        found = given or self._own.get(name)
        if found is None:
            self._need("kubernetes")
            folder = run_folder() / f"{name}-{os.getpid()}"
            found = self._own[name] = Cluster.up(name, nodes, folder=folder, owner=os.getpid())
        while len(found.nodes) < nodes:
            found.add_node()
        return found

    def start(self, **nodes: int) -> None:
        """Several at once: `clusters.start(cloud=2, onprem=1)`."""
        if not self._given:
            self._need("kubernetes")
        with ThreadPoolExecutor() as several:
            list(several.map(lambda wanted: self(*wanted), nodes.items()))

    def end(self, *names: str) -> None:
        """Those of ours that no test needs for the time being: idle ones cost, too. Who asks again gets new ones."""
        with ThreadPoolExecutor() as several:
            list(several.map(Cluster.down, [self._own.pop(name) for name in names if name in self._own]))

    def down(self) -> None:
        """At the end of the session."""
        for given in self._given.values():
            if isinstance(given, Cluster):
                given.close()
        with ThreadPoolExecutor() as several:
            list(several.map(Cluster.down, self._own.values()))


def given_hosts() -> set[str]:
    """Addresses of API servers that are not ours, to which tests may connect although they are not loopback."""
    files = [c.kubeconfig for c in given_clusters().values() if isinstance(c, GivenCluster) and c.kubeconfig.exists()]
    names = [name for f in files for name in re.findall(r"server: *[\"']?https?://\[?([^]:/\s\"']+)", f.read_text())]
    return {str(found[4][0]) for name in names for found in socket.getaddrinfo(name, None)} | set(names)


def given_clusters() -> dict[str, Cluster | GivenCluster]:
    """FERRY_TEST_KUBECONFIG or KUBECONFIG, a list of files: first `cloud`, then `onprem`."""
    files = os.environ.get("FERRY_TEST_KUBECONFIG") or os.environ.get("KUBECONFIG") or ""
    found: dict[str, Cluster | GivenCluster] = {}
    for name, file in zip(NAMES, filter(None, files.split(os.pathsep)), strict=False):
        path = Path(file).resolve()
        ours = path.is_relative_to(run_folder())
        found[name] = Cluster(path.parent) if ours else GivenCluster(name, path)
    return found


@pytest.fixture(scope="session")
def clusters(component) -> Iterator[Clusters]:
    """Every cluster of this session."""
    every = Clusters(component, not_run)
    try:
        yield every
    finally:
        every.down()


@pytest.fixture
def cluster(clusters: Clusters) -> Iterator[Cluster | GivenCluster]:
    """`cloud`, afterwards as it was: no faults, the firewall of before."""
    with _as_it_was(clusters("cloud")) as found:
        yield found


@pytest.fixture
def onprem(clusters: Clusters) -> Iterator[Cluster | GivenCluster]:
    """The second cluster, afterwards as it was."""
    with _as_it_was(clusters("onprem")) as found:
        yield found


@contextmanager
def _as_it_was(cluster: Cluster | GivenCluster) -> Iterator[Cluster | GivenCluster]:
    if isinstance(cluster, GivenCluster):
        yield cluster
        return
    wall, let_out = cluster.wall, cluster.let_out
    yield cluster
    faults.heal(cluster, wall, let_out)


@pytest.fixture
def new_namespace(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """`new_namespace(cluster)` makes one and removes it after the test, without waiting for that."""
    made: list[tuple[Cluster | GivenCluster, str]] = []
    numbers = itertools.count(1)

    def make(cluster: Cluster | GivenCluster, **labels: str) -> str:
        name = f"t-{os.getpid()}-{abs(hash(request.node.nodeid)) % 100_000}-{next(numbers)}"
        made.append((cluster, name))
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        return name

    yield make
    for cluster, name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def namespace(cluster: Cluster | GivenCluster, new_namespace: Callable[..., str]) -> str:
    """A fresh namespace of `cluster`."""
    return new_namespace(cluster)
