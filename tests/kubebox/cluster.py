"""A Kubernetes cluster of one or more nodes: how it comes up, what tests do with it, how nothing of it is left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kubebox import build, control_groups, firewall, images, network, relay, texts
from kubebox.api import Api
from kubebox.firewall import OPEN, Firewall
from kubebox.network import Addresses
from kubebox.node import Node
from kubebox.pki import Authority
from kubebox.places import KubeboxError, program, run_folder
from kubebox.processes import Programs, identity, running, wait_for

START_LIMIT_S = 120
CONTROL = ("etcd", "apiserver", "controllers", "scheduler", "coredns", "keeper")
LET_OUT = ("*/ferry-gateway-*", "*/ferry-agent-*")  # namespace/pod, as a shell would match it


class Cluster:
    """One cluster on this machine; `Cluster.up` starts one, `Cluster.load` finds one that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        state = self._state()
        self.name: str = state["name"]
        self.at = Addresses(state["index"])
        self.kubeconfig = folder / "admin.kubeconfig"
        self.programs = Programs(folder, self.at.namespace(0), control_groups.entrance(self.at.name))
        self._api: Api | None = None

    # Coming and going

    @classmethod
    def up(
        cls, name: str, nodes: int = 1, wall: Firewall = OPEN, folder: Path | None = None, owner: int | None = None
    ) -> Cluster:
        """Starts a cluster; when the process `owner` is gone, the next `up` of anybody removes it."""
        build.find("kubernetes")
        folder = folder or run_folder() / name
        with network.reserving():
            network.raise_limits()
            sweep()
            if (folder / "state.json").exists():
                raise KubeboxError(f"a cluster lives in {folder} already; take it down first")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            at = network.reserve(folder)
            state = {"name": name, "index": at.index, "nodes": 0, "owner": identity(owner) if owner else None}
            _write(folder / "state.json", state | {"firewall": asdict(wall), "let_out": LET_OUT})
        cluster = cls(folder)
        try:
            cluster._start(nodes)
        except BaseException:
            if "KUBEBOX_KEEP" not in os.environ:
                cluster.down()
            raise
        return cluster

    @classmethod
    def load(cls, name: str) -> Cluster:
        """One that was started by this name."""
        folder = run_folder() / name
        if not (folder / "state.json").exists():
            raise KubeboxError(f"no cluster {name} runs; start it with scripts/kubebox up {name}")
        return cls(folder)

    def down(self) -> None:
        """Ends every process of it and removes every trace."""
        self.close()
        for node in self.nodes:
            node.remove()
        control_groups.end(self.at.name)
        _clear(self.folder)
        network.remove(self.at)
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Ends our connections; the cluster lives on."""
        if self._api:
            self._api.close()
            self._api = None

    def add_node(self) -> Node:
        """One more, ready when this returns."""
        number = self._state()["nodes"]
        self._change(nodes=number + 1)
        node = Node(self.name, self.folder, self.at, number)
        node.prepare()
        _start_node(node)
        node.start_kubelet()
        self.wait_ready([node])
        return node

    # What it is

    @property
    def nodes(self) -> list[Node]:
        """Its nodes, the first of which carries the control plane."""
        return [Node(self.name, self.folder, self.at, number) for number in range(self._state()["nodes"])]

    @property
    def api(self) -> Api:
        """Requests as the cluster's administrator."""
        if self._api is None:
            self._api = Api(self.kubeconfig)
        return self._api

    @property
    def hub(self) -> str:
        """The address at which its pods reach this machine."""
        return self.at.hub

    def kubectl(self, *argv: str, given: str | None = None, check: bool = True, limit_s: float = 120) -> str:
        """What kubectl says; `given` is its standard input."""
        return kubectl(self.kubeconfig, *argv, given=given, check=check, limit_s=limit_s)

    def apply(self, *objects: dict[str, Any], namespace: str = "") -> None:
        """Manifests as mappings; `namespace` is for those that name none."""
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        where = ("--namespace", namespace) if namespace else ()
        self.kubectl("apply", *where, "-f", "-", given=json.dumps(everything))

    def load_image(self, archive: Path) -> None:
        """On every node."""
        with ThreadPoolExecutor() as several:
            list(several.map(lambda node: node.load_image(archive), self.nodes))

    # Ways in and out

    def forward(self, host: str, port: int) -> int:
        """A port of 127.0.0.1 that leads to an address that node 0 can reach: a pod, a Service, the API server."""
        return _relay(self.programs, "127.0.0.1", 0, host, port)

    def expose(self, port: int) -> str:
        """Lets the cluster's pods reach what listens on 127.0.0.1:port; answers the address for them."""
        outside = Programs(self.folder, "", control_groups.entrance(self.at.name))
        if not outside.alive(f"relay-{self.hub}-{port}"):
            _relay(outside, self.hub, port, "127.0.0.1", port)
        return f"{self.hub}:{port}"

    @property
    def wall(self) -> Firewall:
        """The firewall that is in force."""
        return Firewall(**self._state()["firewall"])

    def set_firewall(self, wall: Firewall, let_out: Iterable[str] = LET_OUT) -> None:
        """In force when this returns; `let_out` are namespace/pod patterns that may leave where pods may not."""
        self._change(firewall=asdict(wall), let_out=list(let_out))
        firewall.apply(self.at, wall)

    @property
    def let_out(self) -> list[str]:
        """Patterns of pods that may leave where pods may not."""
        return self._state()["let_out"]

    # Starting

    def wait_ready(self, nodes: Sequence[Node]) -> None:
        """Until Kubernetes calls these nodes ready."""
        names = {node.name for node in nodes}

        def ready() -> bool:
            for node in nodes:
                node.keep_kubelet()
            found = self.api.get("/api/v1/nodes")["items"]
            return names <= {node["metadata"]["name"] for node in found if _is_ready(node)}

        wait_for(ready, START_LIMIT_S, f"nodes {sorted(names)} are not ready", self.tail, every_s=0.2)

    def wait_api(self) -> None:
        """Until the API server serves."""
        wait_for(lambda: self.api.ready(), START_LIMIT_S, f"the API server of {self.name} is not ready", self.tail)

    def tail(self) -> str:
        """The ends of all logs."""
        return "\n".join([*(self.programs.tail(name) for name in CONTROL), *(node.tail() for node in self.nodes)])

    def _start(self, nodes: int) -> None:
        self._issue()
        self._change(nodes=nodes)
        for node in self.nodes:
            node.prepare()
        firewall.apply(self.at, self.wall)
        control_groups.make(self.at.name)
        kubernetes = program("kubernetes")
        with ThreadPoolExecutor() as several:
            loading = [several.submit(_start_node, node) for node in self.nodes]
            self.programs.start("etcd", texts.etcd(kubernetes))
            self.programs.start("apiserver", texts.api_server(kubernetes, self.at))
            port = self.forward(self.at.node(0), 6443)
            _write(self.kubeconfig, Authority(self.folder / "pki").kubeconfig("admin", f"https://127.0.0.1:{port}"))
            self.wait_api()
            self._start_control(kubernetes)
            for done in loading:
                done.result()
            for node in self.nodes:
                node.start_kubelet()
        self.apply(*texts.first_objects(self.at))
        self.wait_ready(self.nodes)

    def _issue(self) -> None:
        authority = Authority.create(self.folder / "pki")
        authority.issue("front", "kubebox-front")  # nothing calls in the name of others here; the option wants a file
        addresses = (self.at.node(0), "127.0.0.1", self.at.api_service)
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
        authority.issue("apiserver", "kube-apiserver", "", (*addresses, *names))
        inside = f"https://{self.at.node(0)}:6443"
        for label, user, group in (
            ("admin", "kubebox-admin", "system:masters"),
            ("controllers", "system:kube-controller-manager", ""),
            ("scheduler", "system:kube-scheduler", ""),
            ("proxy", "system:kube-proxy", ""),
        ):
            authority.issue(label, user, group)
            _write(self.folder / f"{label}.kubeconfig", authority.kubeconfig(label, inside))
        (self.folder / "admin.kubeconfig").rename(self.folder / "internal.kubeconfig")

    def _start_control(self, kubernetes: Path) -> None:
        self.programs.start("controllers", texts.controllers(kubernetes, self.at))
        self.programs.start("scheduler", texts.scheduler(kubernetes))
        _write(self.folder / "Corefile", texts.corefile(self.folder, self.at))
        self.programs.start("coredns", [str(program("coredns")), "-conf", "Corefile"])
        outside = Programs(self.folder, "", control_groups.entrance(self.at.name))
        keeper = Path(__file__).with_name("keeper.py")
        outside.start("keeper", [sys.executable, str(keeper), str(self.folder)], _python_path())

    def _state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text())

    def _change(self, **changes: object) -> None:
        _write(self.folder / "state.json", self._state() | changes)


def running_clusters() -> list[Cluster]:
    """All of this checkout."""
    return [Cluster(path.parent) for path in sorted(run_folder().glob("*/state.json"))]


def sweep() -> None:
    """Removes what crashed runs left behind: clusters whose owner is gone, networks whose folder is gone."""
    for cluster in running_clusters():
        owner = cluster._state()["owner"]
        if owner is not None and not running(tuple(owner)):
            cluster.down()
    for index, folder in network.reserved().items():
        if not (folder / "state.json").exists():
            at = Addresses(index)
            groups = {at.name, *(path.name for path in Path("/run/netns").glob(f"{at.name}n*"))}
            for group in sorted(groups):
                control_groups.end(group)
            network.remove(at)


def kubectl(kubeconfig: Path, *argv: str, given: str | None = None, check: bool = True, limit_s: float = 120) -> str:
    """kubectl of the version that kubebox builds, or the one on PATH where kubebox is not used."""
    built = program("kubernetes")
    start = [str(built), "kubectl"] if built.exists() else ["kubectl"]
    command = [*start, "--kubeconfig", str(kubeconfig), *argv]
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as slow:
        raise KubeboxError(f"kubectl {' '.join(argv)} took longer than {limit_s:g} s: {slow.stderr}") from None
    if check and done.returncode:
        raise KubeboxError(f"kubectl {' '.join(argv)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _start_node(node: Node) -> None:
    node.start_containerd()
    for archive in (images.pause_archive(), images.base_archive()):
        node.load_image(archive)


def _relay(programs: Programs, listen: str, listen_port: int, host: str, port: int) -> int:
    with socket.create_server((listen, listen_port)) as door:
        chosen = door.getsockname()[1]
        argv = [sys.executable, relay.__file__, str(door.fileno()), host, str(port)]
        programs.start(f"relay-{listen}-{chosen}", argv, pass_fds=[door.fileno()])
    return chosen


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[1])}


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _write(path: Path, value: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o600)
    draft.rename(path)


def _clear(folder: Path) -> None:
    """Unmounts whatever containerd and kubelet mounted below it."""
    points = [line.split()[1].replace("\\040", " ") for line in Path("/proc/self/mounts").read_text().splitlines()]
    ours = [point for point in reversed(points) if Path(point).is_relative_to(folder)]
    for start in range(0, len(ours), 100):
        subprocess.run(["umount", "--lazy", *ours[start : start + 100]], capture_output=True, check=False)
