"""A site whose only way out is a proxy with a password, and whose link goes and comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from cluster_faults import available, counted_once, counting, kill_program, logged, pods, pods_made
from cluster_play import CHARTS, IMAGE, SYSTEM, World
from fixtures_squid import PASSWORD, USER, SquidProxy, inspecting
from https_play import Authority
from kubebox import faults
from kubebox.cluster import Cluster
from kubebox.texts import HUB_NAME
from system_play import W, until

STEPS = 25
CUT_S = 135.0
"""Longer than every time-out of the link (a batch of the journal is given up after 120 s, a connection after 10 s),
its longest pause between tries, and the silence after which the server calls a site offline (60 s)."""
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
    _upgrade(joined, cluster, f"http://{USER}:{quote(PASSWORD, safe='')}@{HUB_NAME}:{port}", joined.authority)
    cluster.set_firewall(replace(before, inbound=False, proxy=port, pods_egress=False), let_out)
    yield joined
    cluster.set_firewall(before, let_out)
    _upgrade(joined, cluster, "", joined.authority)


def _upgrade(world: World, cluster: Cluster, proxy: str, trusted: Authority) -> None:
    values = world.folder / "proxy.json"
    values.write_text(json.dumps({"site": {"proxy": proxy}, "ca": {"pem": trusted.bundle.read_text()}}))
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


def test_a_long_cut_of_the_link_delays_and_loses_nothing(proxied: World, onprem: Cluster) -> None:
    """One job ends early in the dark, one late; one is canceled meanwhile, one sent, one sent and canceled."""
    late = int(CUT_S * 0.8)
    proxied.submit("slow", counting(late, 1), "team-a")
    proxied.submit("doomed", "echo begun; sleep 1000", "team-b")
    proxied.submit("far", counting(STEPS, 0.4), "team-a")
    for name, words in (("slow", "line 1"), ("doomed", "begun"), ("far", "line 1")):
        logged(proxied, name, words)
        proxied.settles(name, "Running")  # logs and reports travel apart

    faults.cut_link(onprem)
    mends = time.monotonic() + CUT_S
    proxied.post(f"{W}/jobs/doomed/cancel")
    proxied.submit("meanwhile", "echo meanwhile", "team-a")
    proxied.submit("never", "echo never", "team-b")
    proxied.post(f"{W}/jobs/never/cancel")
    until(lambda: _phase(onprem, "team-a", "far") == "Succeeded", 90, lambda: proxied.tail_of(onprem))
    assert proxied.job("far")["status"] == "Running"
    assert f"line {STEPS - 1}\n" not in proxied.log("far")
    until(lambda: _phase(onprem, "team-a", "slow") == "Succeeded", CUT_S, lambda: proxied.tail_of(onprem))
    assert proxied.get("/sites/onprem")["provisioning_state"] == "Offline"
    assert proxied.job("slow")["status"] == "NotResponding"
    assert _phase(onprem, "team-b", "doomed") == "Running"
    until(lambda: time.monotonic() > mends, CUT_S)
    faults.restore_link(onprem)

    for name, steps in (("far", STEPS), ("slow", late)):
        proxied.completes(name)
        counted_once(proxied, onprem, "team-a", name, steps)
    proxied.completes("meanwhile")
    for name in ("doomed", "never"):
        assert proxied.settles(name)["status"] == "Canceled"
    assert pods_made(onprem, "team-b", "doomed") == pods_made(onprem, "team-a", "meanwhile") == {"1": 1}
    assert pods_made(onprem, "team-b", "never") == {}


def test_a_proxy_that_opens_tls_is_trusted_by_its_authority(
    proxied: World, onprem: Cluster, component: Callable[[str], Mapping[str, str]], tmp_path: Path
) -> None:
    """The last of this file: what it leaves behind is undone with the file's own proxy."""
    company, server = Authority(tmp_path, "company"), proxied.authority.bundle.read_text()
    with inspecting(component("squid-openssl"), company.with_key(), server) as squid:
        port = squid.url.rpartition(":")[2]
        onprem.expose(int(port))
        onprem.set_firewall(replace(onprem.wall, proxy=port), onprem.let_out)
        _upgrade(proxied, onprem, f"http://{HUB_NAME}:{port}", company)
        proxied.submit("inspected", counting(3, 0), "team-a")
        proxied.completes("inspected")
        counted_once(proxied, onprem, "team-a", "inspected", 3)
        inside = f"https://{HUB_NAME}:{proxied.port}"
        # a tunnel would show no paths
        assert squid.saw(f"POST {inside}/agent/v1/reports")
        assert squid.saw(f"POST {inside}/gateway/v1/journal")


def _phase(cluster: Cluster, namespace: str, name: str) -> str:
    found = [str(pod["status"]["phase"]) for pod in pods(cluster, namespace, name)]
    return found[0] if found else ""
