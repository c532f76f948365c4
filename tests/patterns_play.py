"""One installation of two clusters for the four patterns, in which all that makes each of them special is so.

The server: TLS of a private authority, artifacts on a private S3. `cloud`: Ferry's images and users' come from a
private registry with a password. `onprem`: out only through squid, which wants a password; pods get out not at all.
Neither can be reached from outside.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kubebox_images
from cluster_play import IMAGE, SYSTEM, World, merged
from fixtures_registry import ImageRegistry, running_registry
from fixtures_s3 import S3Server
from fixtures_squid import PASSWORD, USER, SquidProxy
from kubebox.cluster import Cluster
from kubebox.images import make_base
from kubebox.places import program
from kubebox.texts import HUB_NAME
from recording_relay import RecordingRelay
from serving_cluster_play import PACKAGES

EXAMPLES = Path(__file__).parents[1] / "examples"
PATTERNS = ("one", "two", "three", "four")
"""Workspaces, and namespaces of their computes in both clusters."""
OURS = ("agent", "router", "runner")
ROUTER_PORT = 30443
RUN_LIMIT_S = 900


@dataclass(frozen=True)
class Patterns:
    """The server, its two sites, and what a test may look at."""

    world: World
    cloud: Cluster
    onprem: Cluster
    registry: str
    squid: SquidProxy
    link: RecordingRelay
    """Of onprem."""

    def run(self, pattern: str, example: str) -> str:
        """`run.sh` of the example in the pattern's workspace, as a user would start it; what it printed."""
        place = self.world.folder / pattern
        for name in (example, "pumps"):
            shutil.copytree(EXAMPLES / name, place / name, dirs_exist_ok=True)
        programs = place / "bin"
        programs.mkdir(exist_ok=True)
        wrapper = programs / "kubectl"
        wrapper.write_text(f'#!/bin/sh\nexec {program("kubernetes")} kubectl "$@"\n')
        wrapper.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FERRY_", "MLFLOW_"))}
        said: Mapping[str, str] = {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{kept['PATH']}", "FERRY_URL": self.world.url,
            "FERRY_TOKEN": self.world.token, "FERRY_CA_BUNDLE": str(self.world.authority.bundle),
            "CURL_CA_BUNDLE": str(self.world.authority.bundle), "FERRY_WORKSPACE": pattern,
            "XDG_CONFIG_HOME": str(place / "config"), "NAMESPACE": pattern,
            "ONPREM_KUBECONFIG": str(self.onprem.kubeconfig),
        }  # fmt: skip
        done = subprocess.run(
            ["sh", str(place / example / "run.sh")], env={**kept, **said}, cwd=place, capture_output=True, text=True,
            timeout=RUN_LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}\n{self.world.tail()}"
        return done.stdout

    def serves_on(self, cluster: Cluster, pattern: str) -> None:
        """Its pods are there; then it is taken away, for a cluster has one endpoint of a name."""
        assert cluster.kubectl("get", "deployments", "-n", pattern, "-o", "name"), "no pods serve"
        said = ("online-endpoint", "delete", "-n", "pumps", "-y", "-w", pattern)
        self.world.ferry(*said)


def installed(stack: ExitStack, clusters, component, s3: S3Server, squid: SquidProxy, folder: Path) -> Patterns:
    """Both clusters joined, with a workspace and two computes for each pattern; `stack` takes it down again."""
    registry = stack.enter_context(
        running_registry(component("registry")["docker-registry"], component("buildah")["skopeo"])
    )
    world = World(folder, component("helm")["helm"], PACKAGES, **_store(s3))
    stack.callback(world.close)
    world.serve()
    clusters.start(cloud=1, plant=1)
    cloud, onprem = clusters.kubebox("cloud"), clusters.kubebox("plant")
    told = world.environment
    link = RecordingRelay(
        world.port, Path(told["FERRY_SERVER_TLS_CERT"]), Path(told["FERRY_SERVER_TLS_KEY"]), world.authority.bundle
    )
    stack.callback(link.close)
    for cluster in (cloud, onprem):
        stack.callback(cluster.set_firewall, cluster.wall, cluster.let_out)
    address = _private(world, cloud, registry)
    _walled(world, onprem, squid, link)
    for name in PATTERNS:
        world.post("/workspaces", {"name": name})
        for compute in ("cloud", "onprem"):
            spec = {"name": compute, "type": "kubernetes", "site": compute, "namespace": name}
            world.post(f"/workspaces/{name}/computes", spec)
    return Patterns(world, cloud, onprem, address, squid, link)


def _store(s3: S3Server) -> dict[str, str]:
    place = f"s3://{s3.new_bucket()}/ferry?endpoint={s3.url}&region={s3.region}&allow_http=true"
    keys = {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    return {"FERRY_SERVER_ARTIFACTS_URL": place, **keys}


def _private(world: World, cloud: Cluster, registry: ImageRegistry) -> str:
    """Join it as `cloud`; the registry's address for its nodes."""
    for name in OURS:
        registry.push(kubebox_images.build(name), f"ferry/ferry-{name}:latest")
    registry.push(make_base(), "team/python:3.11")
    address = cloud.expose(registry.port)
    for node in cloud.nodes:
        node.trust_registry(address)
    shown = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson"}
    keys = {".dockerconfigjson": json.dumps({"auths": {address: {"auth": shown}}})}
    for namespace in (SYSTEM, *PATTERNS):
        cloud.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        cloud.apply(kind | {"metadata": {"name": "pull"}, "stringData": keys}, namespace=namespace)
    values = {
        "images": {"registry": f"{address}/ferry", "pullPolicy": "IfNotPresent", "pullSecrets": ["pull"]},
        "cluster": {"image_pull_secrets": "pull"},
        "workloads": {"imageAliases": {IMAGE: f"{address}/team/python:3.11"}},
    }
    values = merged(values, _serving(world, cloud))
    world.install(cloud, "cloud", "cloud", PATTERNS, values)
    cloud.apply(kind | {"metadata": {"name": "pull"}, "stringData": keys}, namespace="ferry-environments")
    cloud.set_firewall(replace(cloud.wall, inbound=False))
    return address


def _walled(world: World, onprem: Cluster, squid: SquidProxy, link: RecordingRelay) -> None:
    """Join it as `onprem`, through the proxy from the first packet on."""
    port = int(squid.url.rpartition(":")[2])
    onprem.expose(port)
    onprem.set_firewall(replace(onprem.wall, inbound=False, proxy=str(port), pods_egress=False))
    proxy = f"http://{USER}:{quote(PASSWORD, safe='')}@{HUB_NAME}:{port}"
    server = f"https://{HUB_NAME}:{link.port}"
    onprem.load_image(kubebox_images.build("router"))
    values = _serving(world, onprem)
    world.install(onprem, "onprem", "onprem", PATTERNS, values, proxy=proxy, server_url=server)


def _serving(world: World, cluster: Cluster) -> dict[str, Any]:
    """Values of a router that speaks TLS at localhost, as this machine reaches it."""
    port = cluster.forward(cluster.at.node(0), ROUTER_PORT)
    chain, key = (Path(world.environment[f"FERRY_SERVER_TLS_{part}"]).read_text() for part in ("CERT", "KEY"))
    return {
        "cluster": {"router_url": f"https://localhost:{port}"}, "router": {"threads": 1},
        "inference": {
            "enabled": True, "tls": {"certificate": chain, "key": key, "cname": "localhost"},
            "router": {"service": {"type": "NodePort", "nodePort": ROUTER_PORT}},
        },
    }  # fmt: skip
