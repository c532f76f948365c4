"""Ferry in a cluster from installation to removal, with the real Helm and with plain manifests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import kubebox_images
from cluster_play import CHARTS, ENVIRONMENTS, OURS, SYSTEM, World
from kubebox.cluster import Cluster
from system_play import until

TEAM, NAMESPACE = "installed", f"namespace/{ENVIRONMENTS}"
WORK = "-l=app.kubernetes.io/managed-by=ferry"
KINDS = "all,configmaps,secrets,leases,serviceaccounts,roles,rolebindings,networkpolicies,persistentvolumeclaims"
WIDE = "clusterroles,clusterrolebindings"
DEFINITIONS = (
    "instancetypes.amlarc.azureml.com", "instancetypes.ferryml.dev", "mljobs.ferryml.dev",
    "onlinedeployments.ferryml.dev", "onlineendpoints.ferryml.dev",
)  # fmt: skip
STORE = {"gateway": {"store": {"kind": "claim", "size": "1Gi"}}}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def cloud(clusters) -> Cluster:
    return clusters.kubebox("cloud")


@pytest.fixture
def it(component, cloud: Cluster, tmp_path: Path) -> Iterator[World]:
    """A server of one's own, which may be killed."""
    component("buildah")
    made = World(tmp_path, component("helm")["helm"])
    try:
        made.serve()
        yield made
    finally:
        made.close()
        cloud.kubectl(
            "delete", "namespace", SYSTEM, TEAM, ENVIRONMENTS, "--ignore-not-found", "--timeout=60s", limit_s=90
        )


def names(cluster: Cluster, kinds: str, *where: str) -> set[str]:
    return set(cluster.kubectl("get", kinds, *where, "-o", "name", "--ignore-not-found").split())


def definitions(cluster: Cluster) -> set[str]:
    found = {name.partition("/")[2] for name in names(cluster, "customresourcedefinitions")}
    return {name for name in found if name.endswith((".ferryml.dev", ".amlarc.azureml.com"))}


def nothing_is_left(cluster: Cluster, kept: set[str]) -> None:
    """Of Ferry in the whole cluster but what is named; nothing hangs between life and death."""
    until(lambda: not names(cluster, "pods", "-n", SYSTEM), 60, lambda: cluster.kubectl("get", "pods", "-A"))
    until(lambda: not names(cluster, "all", "-A", WORK), 60, lambda: cluster.kubectl("get", "all", "-A", WORK))
    assert not names(cluster, "configmaps,networkpolicies,services", "-A", WORK)
    assert names(cluster, KINDS, "-A", OURS) == kept
    assert not names(cluster, WIDE, OURS)
    if "mljobs.ferryml.dev" in definitions(cluster):
        assert not names(cluster, "mljobs", "-A")
    until(lambda: names(cluster, "namespace", ENVIRONMENTS) == ({NAMESPACE} if kept else set()), 60)
    for namespace in (SYSTEM, TEAM):
        phase = cluster.kubectl("get", "namespace", namespace, "-o", "jsonpath={.status.phase}")
        assert phase == "Active"


def programs(cluster: Cluster) -> set[str]:
    return names(cluster, "pods", "-n", SYSTEM, OURS)


def test_a_release_from_install_to_uninstall(it: World, cloud: Cluster) -> None:
    it.install(cloud, "edge", namespaces=(TEAM,), values=STORE)
    cloud.kubectl("wait", "--for=condition=Available", "deployment", "--all", "-n", SYSTEM, "--timeout=60s")
    it.attach("edge", "edge", TEAM)

    it.submit("long", "echo begun; sleep 20; echo ended", "edge")
    it.settles("long", "Running")
    before = programs(cloud)
    upgrade = ("upgrade", "ferry", str(CHARTS / "ferry-agent"), "--reuse-values", "--wait", "--timeout", "120s")
    it.helm(cloud, *upgrade, "--set", "site.proxy=", "--set", "cluster.node_lost_s=61")
    assert not before & programs(cloud)
    job = it.completes("long")
    assert (it.log("long"), job["ferry"]["attempt"]) == ("begun\nended\n", 1)

    it.submit("endless", "trap '' TERM; while true; do sleep 1; done", "edge")
    it.settles("endless", "Running")
    it.kill_server()
    it.helm(cloud, "uninstall", "ferry", "--timeout", "240s")
    nothing_is_left(cloud, {"persistentvolumeclaim/ferry-store"})
    assert definitions(cloud) == set(DEFINITIONS)

    it.serve()
    values = json.loads((it.folder / "edge-values.json").read_text())
    values["joinToken"] = it.post("/sites/edge/token")["join_token"]
    (it.folder / "again.json").write_text(json.dumps(values))
    volume = cloud.kubectl("get", "pvc", "-n", SYSTEM, "ferry-store", "-o", "jsonpath={.spec.volumeName}")
    chart = ("ferry", str(CHARTS / "ferry-agent"), "--values", str(it.folder / "again.json"))
    it.helm(cloud, "install", *chart, "--wait", "--timeout", "120s")
    assert cloud.kubectl("get", "pvc", "-n", SYSTEM, "ferry-store", "-o", "jsonpath={.spec.volumeName}") == volume
    it.submit("again", "echo again", "edge")
    it.completes("again")

    it.helm(cloud, "upgrade", *chart, "--set", "purge=true", "--wait", "--timeout", "120s")
    it.helm(cloud, "uninstall", "ferry", "--wait", "--timeout", "240s")
    nothing_is_left(cloud, set())
    assert definitions(cloud) == {"instancetypes.amlarc.azureml.com"}


def test_plain_manifests_do_the_same(it: World, cloud: Cluster) -> None:
    cloud.expose(it.port)
    cloud.expose(it.index.port)
    for name in ("agent", "runner"):
        cloud.load_image(kubebox_images.build(name))
    cloud.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    made = json.loads(it.ferry("site", "create", "plain"))
    line = made["kubectl"].split(" | ")[0].split()
    values = it.folder / "values.yaml"
    chosen = {
        "namespaces": [TEAM], "images": {"tag": "latest", "pullPolicy": "Never"},
        "ca": {"pem": it.authority.bundle.read_text()}, **STORE,
    }  # fmt: skip
    values.write_text(json.dumps(chosen))
    line = [*line[1:], "-f", str(values)]
    apply = ("apply", "--server-side", "-f", "-")
    for _ in range(2):  # a second time changes nothing
        cloud.kubectl(*apply, given=it.ferry(*line))
    until(lambda: it.get("/sites/plain")["provisioning_state"] == "Online", 120, lambda: it.tail_of(cloud))
    it.attach("plain", "plain", TEAM)
    it.submit("hello", "echo hello", "plain")
    it.completes("hello")

    it.submit("endless", "while true; do sleep 1; done", "plain")
    it.settles("endless", "Running")
    it.kill_server()
    part = [*line[: line.index("--join-token")], "-f", str(values), "--part"]
    removal = it.ferry(*part, "uninstall")
    cloud.kubectl(*apply, given=removal)
    cloud.kubectl(
        "wait", "--for=condition=complete", "job/ferry-uninstall", "-n", SYSTEM, "--timeout=200s", limit_s=220
    )
    for manifests in (removal, it.ferry(*part, "agent")):
        cloud.kubectl("delete", "--timeout=60s", "-f", "-", given=manifests)
    nothing_is_left(cloud, {"persistentvolumeclaim/ferry-store"})
    assert definitions(cloud) == set(DEFINITIONS)


def test_the_servers_chart_runs_the_server(component, cloud: Cluster, tmp_path: Path) -> None:
    """One replica on a volume: what it keeps survives its pod."""
    helm = component("helm")["helm"]
    component("buildah")
    cloud.load_image(kubebox_images.build("server"))
    where = ("--namespace", "ferry-control", "--kubeconfig", str(cloud.kubeconfig))
    said = ("--set", "allowInsecure=true,image.tag=latest,image.pullPolicy=Never,state.size=1Gi")
    argv = [helm, "upgrade", "--install", "control", str(CHARTS / "ferry-server"), "--create-namespace", *said, *where]
    try:
        subprocess.run([*argv, "--wait", "--timeout", "180s"], check=True, capture_output=True, timeout=240)
        inside = ("exec", "-n", "ferry-control", "deploy/ferry-server", "--", "cat", "/var/lib/ferry/admin.token")
        token = cloud.kubectl(*inside)
        assert token.startswith("fry_")
        again = [*argv, "--set", "server.page_size=50", "--wait", "--timeout", "180s"]
        subprocess.run(again, check=True, capture_output=True, timeout=240)
        assert cloud.kubectl(*inside) == token
    finally:
        cloud.kubectl("delete", "namespace", "ferry-control", "--ignore-not-found", "--timeout=60s", limit_s=90)
