"""`scripts/kubebox`: clusters for developers, which stay until they are taken down."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kubebox import build
from kubebox.cluster import Cluster, running_clusters
from kubebox.firewall import Firewall
from kubebox.places import KubeboxError, program


def parser() -> argparse.ArgumentParser:
    """Its words and options."""
    top = argparse.ArgumentParser(prog="kubebox", description="Real Kubernetes clusters on this machine, for root.")
    verbs = top.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="build programs and images (minutes, once)")
    up = verbs.add_parser("up", help="start a cluster")
    up.add_argument("name")
    up.add_argument("--nodes", type=int, default=1)
    up.add_argument("--firewall", type=Firewall.parse, default=Firewall(), help=Firewall.parse.__doc__)
    down = verbs.add_parser("down", help="stop clusters and remove every trace of them")
    down.add_argument("names", nargs="+")
    wall = verbs.add_parser("firewall", help="change what a running cluster lets in and out")
    wall.add_argument("name")
    wall.add_argument("firewall", type=Firewall.parse, help=Firewall.parse.__doc__)
    node = verbs.add_parser("add-node", help="add a node to a running cluster")
    node.add_argument("name")
    load = verbs.add_parser("load-image", help="give every node an image: a docker-archive or oci-archive")
    load.add_argument("name")
    load.add_argument("archive", type=Path)
    kubectl = verbs.add_parser("kubectl", help="kubectl for a cluster: kubebox kubectl NAME get pods")
    kubectl.add_argument("name")
    kubectl.add_argument("rest", nargs=argparse.REMAINDER)
    verbs.add_parser("list", help="clusters that run, with their kubeconfigs")
    return top


def main(argv: list[str]) -> int:
    """The command; errors end in one message."""
    told = parser().parse_args(argv)
    try:
        _do(told)
    except KubeboxError as error:
        print(f"kubebox: {error}", file=sys.stderr)
        return 1
    return 0


def _do(told: argparse.Namespace) -> None:
    if told.verb == "build":
        build.make("kubernetes")
    elif told.verb == "list":
        for cluster in running_clusters():
            print(f"{cluster.name}: {len(cluster.nodes)} nodes, hub {cluster.hub}, KUBECONFIG={cluster.kubeconfig}")
    elif told.verb == "up":
        build.make("kubernetes")
        cluster = Cluster.up(told.name, told.nodes, told.firewall)
        print(f"export KUBECONFIG={cluster.kubeconfig}   # pods reach this machine at {cluster.hub}")
    elif told.verb == "down":
        for name in told.names:
            Cluster.load(name).down()
    elif told.verb == "firewall":
        Cluster.load(told.name).set_firewall(told.firewall)
    elif told.verb == "add-node":
        print(Cluster.load(told.name).add_node().name)
    elif told.verb == "load-image":
        Cluster.load(told.name).load_image(told.archive.resolve())
    elif told.verb == "kubectl":
        kubectl = str(program("kubernetes"))
        kubeconfig = str(Cluster.load(told.name).kubeconfig)
        os.execv(kubectl, ["kubectl", "--kubeconfig", kubeconfig, *told.rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
