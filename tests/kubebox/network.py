"""The network of one cluster: a site of its own behind a router, as a company's site is.

    this machine  HUB ---- ROUTER  (network namespace kbN: the site's firewall and address translation)
                              |
                           site's LAN, a bridge
                              |
                 node 0, node 1, ...  (network namespaces kbNn0, kbNn1, ...; pods are routed behind them)

Pods and nodes reach this machine at the hub's address and nothing else: there is no way on to the internet.
"""

from __future__ import annotations

import fcntl
import ipaddress
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubebox.places import KubeboxError

MOST_CLUSTERS = 30
LOCK = Path("/run/lock/kubebox.lock")


@dataclass(frozen=True)
class Addresses:
    """Every address of the cluster with this index; indexes never overlap."""

    index: int

    @property
    def name(self) -> str:
        """Of the router's namespace, the link on this machine and the control groups."""
        return f"kb{self.index}"

    @property
    def hub(self) -> str:
        """This machine, as pods and nodes see it."""
        return f"10.{100 + self.index}.255.1"

    @property
    def uplink(self) -> str:
        """The router, as this machine sees it."""
        return f"10.{100 + self.index}.255.2"

    @property
    def gateway(self) -> str:
        """The router, as nodes see it."""
        return f"10.{100 + self.index}.0.1"

    @property
    def lan(self) -> str:
        """The network of the nodes."""
        return f"10.{100 + self.index}.0.0/24"

    @property
    def pods(self) -> str:
        """Every pod's address is in here."""
        return f"10.{130 + self.index}.0.0/16"

    @property
    def services(self) -> str:
        """Every Service's address is in here."""
        return f"10.{160 + self.index}.0.0/16"

    @property
    def api_service(self) -> str:
        """`kubernetes.default`."""
        return f"10.{160 + self.index}.0.1"

    @property
    def dns_service(self) -> str:
        """`kube-dns.kube-system`."""
        return f"10.{160 + self.index}.0.10"

    def node(self, number: int) -> str:
        """Address of a node."""
        return f"10.{100 + self.index}.0.{10 + number}"

    def node_pods(self, number: int) -> str:
        """The pods of one node."""
        return f"10.{130 + self.index}.{number}.0/24"

    def namespace(self, number: int) -> str:
        """Network namespace of a node."""
        return f"{self.name}n{number}"


def run(*argv: str, check: bool = True, given: str | None = None) -> str:
    """One command of the system."""
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise KubeboxError(f"{' '.join(argv)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def inside(namespace: str, *argv: str, check: bool = True, given: str | None = None) -> str:
    """One command in a network namespace; unlike `ip netns exec` this leaves /sys as it is."""
    return run("nsenter", f"--net=/run/netns/{namespace}", *argv, check=check, given=given)


def raise_limits(root: Path = Path("/proc/sys/fs/inotify")) -> None:
    """A node's programs watch some 30 things; the usual 128 of a machine are used up by its fourth node."""
    for name, least in (("max_user_instances", 8192), ("max_user_watches", 524_288)):
        file = root / name
        if int(file.read_text()) < least:
            file.write_text(str(least))


@contextmanager
def reserving() -> Iterator[None]:
    """While indexes are given out or taken back, on this whole machine."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def reserve(folder: Path) -> Addresses:
    """The router of a new cluster under the first free index; its link remembers whose it is. Call it `reserving()`."""
    taken, routes = reserved(), _routes()
    for index in range(MOST_CLUSTERS):
        wanted = Addresses(index)
        if index not in taken and not any(overlap(wanted, route) for route in routes):
            _make_router(wanted, folder)
            return wanted
    raise KubeboxError(f"{MOST_CLUSTERS} clusters are running, or other networks use all of 10.100.0.0 to 10.189.0.0")


def reserved() -> dict[int, Path]:
    """Index -> folder, of every cluster on this machine, whoever started it."""
    shown = run("ip", "-details", "link", "show", "type", "veth")
    found = re.findall(r"^\d+: kb(\d+)@.*?(?=^\d+: |\Z)", shown, re.M | re.S)
    blocks = dict(zip(found, re.findall(r"^\d+: kb\d+@.*?(?=^\d+: |\Z)", shown, re.M | re.S), strict=True))
    aliases = {int(i): re.search(r"^\s*alias (.+)$", block, re.M) for i, block in blocks.items()}
    return {i: Path(alias.group(1) if alias else "/nonexistent") for i, alias in aliases.items()}


def overlap(addresses: Addresses, network: str) -> bool:
    """Whether somebody else's network is in the way."""
    other = ipaddress.ip_network(network, strict=False)
    lan = ipaddress.ip_network(addresses.lan).supernet(new_prefix=16)
    ours = [lan, *(ipaddress.ip_network(n) for n in (addresses.pods, addresses.services))]
    return other.prefixlen > 0 and any(other.overlaps(own) for own in ours)


def _routes() -> list[str]:
    shown = run("ip", "-4", "route", "show", "table", "all")
    lines = [line for line in shown.splitlines() if " dev kb" not in line]
    return [first for line in lines for first in line.split()[:1] if re.match(r"10\.[\d.]+(/\d+)?$", first)]


def _make_router(at: Addresses, folder: Path) -> None:
    run("ip", "netns", "add", at.name)
    run("ip", "link", "add", at.name, "type", "veth", "peer", "name", "up0", "netns", at.name)
    run("ip", "link", "set", at.name, "alias", str(folder))
    run("ip", "addr", "add", f"{at.hub}/30", "dev", at.name)
    run("ip", "link", "set", at.name, "up")
    run("ip", "route", "replace", at.lan, "via", at.uplink)
    for step in (
        f"addr add {at.uplink}/30 dev up0",
        "link set lo up",
        "link set up0 up",
        f"route add default via {at.hub}",
        "link add br0 type bridge",
        f"addr add {at.gateway}/24 dev br0",
        "link set br0 up",
    ):
        inside(at.name, "ip", *step.split())
    inside(at.name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0")
    inside(at.name, "sysctl", "-qw", "net.ipv4.conf.br0.send_redirects=0")


def make_node(at: Addresses, number: int) -> None:
    """A node's namespace on the LAN, and the router's way to its pods."""
    name, port = at.namespace(number), f"n{number}"
    run("ip", "netns", "add", name)
    inside(at.name, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
    inside(at.name, "ip", "link", "set", port, "master", "br0", "up")
    for step in (
        "link set lo up",
        f"addr add {at.node(number)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {at.gateway}",
    ):
        inside(name, "ip", *step.split())
    inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    inside(at.name, "ip", "route", "replace", at.node_pods(number), "via", at.node(number))


def plug(at: Addresses, number: int, in_: bool) -> None:
    """A node's cable; without it nobody answers at its address nor at those of its pods, and nobody is told."""
    inside(at.name, "ip", "link", "set", f"n{number}", "up" if in_ else "down")


def remove_namespace(name: str) -> None:
    """Takes its links with it."""
    if (Path("/run/netns") / name).exists():
        run("ip", "netns", "del", name, check=False)


def remove(at: Addresses) -> None:
    """Router, nodes and links, as many as there are."""
    for path in sorted(Path("/run/netns").glob(f"{at.name}n*")):
        remove_namespace(path.name)
    remove_namespace(at.name)
    run("ip", "link", "del", at.name, check=False)
