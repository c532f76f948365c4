"""A site whose only way out is a proxy with a password, and whose link goes and comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from cluster_faults import available, counted_once, counting, kill_program, logged, pods, pods_made
from cluster_play import CHARTS, IMAGE, SYSTEM, World
from fixtures_squid import PASSWORD, USER, SquidProxy
from kubebox import faults
from kubebox.cluster import Cluster
from kubebox.texts import HUB_NAME
from system_play import W, until

STEPS = 25
SIX = {
    "name": "six-by-proxy", "image": IMAGE,
    "conda_file": {"dependencies": ["python>=3.11", {"pip": ["six>=1.16"]}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def proxied(joined: World, clusters, squid_with_password: SquidProxy) -> Iterator[World]:
    """The site knows the proxy; nothing but the proxy can be reached from it."""
    cluster: Cluster = clusters.kubebox("onprem", nodes=2)
    before, let_out = cluster.wall, cluster.let_out
    port = squid_with_password.url.rpartition(":")[2]
    cluster.expose(int(port))
    _upgrade(joined, cluster, f"http://{USER}:{quote(PASSWORD, safe='')}@{HUB_NAME}:{port}")
    cluster.set_firewall(replace(before, inbound=False, proxy=port, pods_egress=False), let_out)
    yield joined
    cluster.set_firewall(before, let_out)
    _upgrade(joined, cluster, "")


def _upgrade(world: World, cluster: Cluster, proxy: str) -> None:
    values = world.folder / "proxy.json"
    values.write_text(json.dumps({"site": {"proxy": proxy}}))
    chart = ("ferry", str(CHARTS / "ferry-agent"), "--reuse-values", "--values", str(values))
    world.helm(cluster, "upgrade", *chart, "--wait", "--timeout", "120s")
    available(cluster)


def test_the_proxy_is_the_only_way_and_enough(proxied: World, onprem: Cluster, squid_with_password: SquidProxy) -> None:
    outputs = {"made": {"type": "uri_folder"}}
    proxied.submit("behind", f"{counting(3, 0)}; echo 1 > ${{{{outputs.made}}}}/file", "team-a", outputs=outputs)
    job = proxied.completes("behind")
    counted_once(proxied, onprem, "team-a", "behind", 3)
    assert proxied.output(job, "made") == {"file": b"1\n"}
    kill_program(onprem, "ferry-agent")  # squid logs a tunnel when it ends
    assert squid_with_password.saw(f"CONNECT {HUB_NAME}:{proxied.port} {USER} ")
    available(onprem)
    programs = ("deployment/ferry-agent", "deployment/ferry-gateway", "-n", SYSTEM, "-o", "json")
    assert quote(PASSWORD, safe="") not in onprem.kubectl("get", *programs)
    assert quote(PASSWORD, safe="") not in proxied.tail_of(onprem)


def test_packages_come_through_the_proxy(proxied: World, squid_with_password: SquidProxy) -> None:
    proxied.submit("packed", "python -c 'import six; print(six.__version__)'", "team-a", environment=SIX)
    proxied.completes("packed", within_s=180)
    assert proxied.log("packed") == "1.17.0\n"
    assert squid_with_password.saw(f"GET http://{HUB_NAME}:{proxied.index.port}/simple/six/ {USER} ")


def test_a_cut_link_delays_and_loses_nothing(proxied: World, onprem: Cluster) -> None:
    proxied.submit("far", counting(STEPS, 0.2), "team-a")
    proxied.submit("doomed", "echo begun; sleep 1000", "team-b")
    logged(proxied, "far", "line 1")
    logged(proxied, "doomed", "begun")

    faults.cut_link(onprem)
    proxied.post(f"{W}/jobs/doomed/cancel")
    until(lambda: _phase(onprem, "team-a", "far") == "Succeeded", 90, lambda: proxied.tail_of(onprem))
    assert proxied.job("far")["status"] == "Running"
    assert f"line {STEPS - 1}\n" not in proxied.log("far")
    assert _phase(onprem, "team-b", "doomed") == "Running"
    faults.restore_link(onprem)

    proxied.completes("far")
    counted_once(proxied, onprem, "team-a", "far", STEPS)
    assert proxied.settles("doomed")["status"] == "Canceled"
    assert pods_made(onprem, "team-b", "doomed") == {"1": 1}


def test_a_job_that_was_sent_while_the_link_was_cut_starts_once(proxied: World, onprem: Cluster) -> None:
    faults.cut_link(onprem)
    proxied.submit("early", "echo early", "team-a")
    proxied.submit("never", "echo never", "team-b")
    proxied.post(f"{W}/jobs/never/cancel")
    faults.restore_link(onprem)
    proxied.completes("early")
    assert proxied.settles("never")["status"] == "Canceled"
    assert pods_made(onprem, "team-a", "early") == {"1": 1}
    assert pods_made(onprem, "team-b", "never") == {}


def _phase(cluster: Cluster, namespace: str, name: str) -> str:
    found = [str(pod["status"]["phase"]) for pod in pods(cluster, namespace, name)]
    return found[0] if found else ""
