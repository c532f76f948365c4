"""One node: a network namespace and a control group with a containerd, a kubelet and a kube-proxy of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kubebox import control_groups, network, texts
from kubebox.images import references
from kubebox.network import Addresses
from kubebox.pki import Authority
from kubebox.places import KubeboxError, program
from kubebox.processes import Programs, wait_for

PROGRAMS = ("containerd", "kubelet", "proxy")
IMPORT_LIMIT_S = 300


@dataclass(frozen=True)
class Node:
    """A node of the cluster `cluster`, whose folder is `cluster_folder`."""

    cluster: str
    cluster_folder: Path
    at: Addresses
    number: int

    @property
    def name(self) -> str:
        """What Kubernetes calls it."""
        return f"{self.cluster}-{self.number}"

    @property
    def folder(self) -> Path:
        """Everything it keeps."""
        return self.cluster_folder / f"n{self.number}"

    @property
    def group(self) -> str:
        """Its control group and its network namespace have the same name."""
        return self.at.namespace(self.number)

    @property
    def programs(self) -> Programs:
        """Its programs."""
        return Programs(self.folder, self.group, control_groups.entrance(self.group))

    def prepare(self) -> None:
        """Network, certificates, configuration; nothing runs yet."""
        self.folder.mkdir(parents=True)
        (self.folder / "registries").mkdir()
        network.make_node(self.at, self.number)
        authority = Authority(self.cluster_folder / "pki")
        server = f"https://{self.at.node(0)}:6443"
        names = (self.at.node(self.number), self.name)
        authority.issue(f"kubelet-{self.number}", f"system:node:{self.name}", "system:nodes", names)
        self._write("kubelet.kubeconfig", authority.kubeconfig(f"kubelet-{self.number}", server))
        self._write("proxy.kubeconfig", authority.kubeconfig("proxy", server))
        (self.folder / "pki").mkdir()
        for part in ("crt", "key"):
            (self.folder / f"pki/kubelet.{part}").symlink_to(f"../../pki/kubelet-{self.number}.{part}")
        (self.folder / "pki/ca.crt").symlink_to("../../pki/ca.crt")
        self._write("containerd.toml", texts.containerd_config(self.folder, snapshotter(self.folder)))
        (self.folder / "cni").mkdir()
        self._write("cni/10-kubebox.conflist", texts.cni(self.folder, self.at, self.number))
        self._write("kubelet.yaml", texts.kubelet_config(self.folder, self.at, self.group))
        self._write("resolv.conf", f"nameserver {self.at.node(0)}\n")

    def start_containerd(self) -> None:
        """Answers requests when this returns."""
        control_groups.make(self.group)
        self.programs.start("containerd", ["containerd", "--config", "containerd.toml"])
        wait_for(
            lambda: (self.folder / "containerd.sock").exists() and self._ctr("version", check=False),
            30,
            f"containerd of {self.name} did not answer",
            lambda: self.programs.tail("containerd"),
        )

    def start_kubelet(self) -> None:
        """It joins the cluster by itself; kube-proxy comes with it."""
        kubernetes = program("kubernetes")
        self.programs.start("kubelet", texts.kubelet(kubernetes, self.folder, self.at, self.number, self.name))
        self.programs.start("proxy", texts.proxy(kubernetes, self.at, self.number, self.name))

    def keep_kubelet(self) -> None:
        """Starts it again if it ended: all kubelets of a machine have one socket's path in common, and of two that
        begin in the same moment one gives up over it. Elsewhere systemd does this."""
        if not self.programs.alive("kubelet"):
            self.programs.restart("kubelet")

    def load_image(self, archive: Path) -> None:
        """A docker-archive or oci-archive, for pods to use at once. What is there already costs a look only."""
        memory, what = self.folder / "loaded.json", archive.stat()
        key = f"{archive} {what.st_mtime_ns} {what.st_size}"
        loaded: dict[str, dict[str, str]] = json.loads(memory.read_text()) if memory.exists() else {}
        if key in loaded and loaded[key].items() <= self.images().items():
            return
        self._ctr("-n", "k8s.io", "images", "import", "--snapshotter", snapshotter(self.folder), str(archive))
        if names := references(archive):
            there = self.images()
            memory.write_text(json.dumps({**loaded, key: {name: there[name] for name in names}}))

    def images(self) -> dict[str, str]:
        """Reference -> digest of the images it has."""
        lines = self._ctr("-n", "k8s.io", "images", "list").splitlines()[1:]
        return {name: digest for name, _, digest, *_ in map(str.split, lines)}

    def trust_registry(self, address: str, plain: bool = True) -> None:
        """Lets containerd pull from a registry at host:port, over plain HTTP unless told otherwise."""
        folder = self.folder / "registries" / address
        folder.mkdir(parents=True, exist_ok=True)
        scheme = "http" if plain else "https"
        host = f'[host."{scheme}://{address}"]\n  capabilities = ["pull", "resolve"]\n  skip_verify = true\n'
        (folder / "hosts.toml").write_text(f'server = "{scheme}://{address}"\n{host}')

    def kill(self) -> None:
        """Programs and pods are gone at once; its kernel lives, and refuses whoever still calls."""
        control_groups.end(self.group)

    def power_off(self) -> None:
        """As if its plug had been pulled: the same without a word, and calls to its addresses and pods go nowhere."""
        network.plug(self.at, self.number, False)
        self.kill()

    def revive(self) -> None:
        """After `kill` or `power_off`: it starts again and finds its disk as it was."""
        network.plug(self.at, self.number, True)
        (self.folder / "containerd.sock").unlink(missing_ok=True)
        self.start_containerd()
        self.start_kubelet()

    def remove(self) -> None:
        """Nothing of it is left but its folder."""
        control_groups.end(self.group)
        for address in self.folder.glob("containerd-run/io.containerd.runtime.v2.task/*/*/address"):
            with contextlib.suppress(OSError):
                Path(address.read_text().removeprefix("unix://")).unlink()
        network.remove_namespace(self.group)

    def tail(self) -> str:
        """The ends of its logs."""
        return "\n".join(self.programs.tail(name) for name in PROGRAMS)

    def _ctr(self, *argv: str, check: bool = True) -> str:
        command = ["ctr", "--address", str(self.folder / "containerd.sock"), *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_LIMIT_S, check=False)
        if check and done.returncode:
            raise KubeboxError(f"{self.name}: ctr {' '.join(argv)} failed: {done.stderr.strip()[-800:]}")
        return "" if done.returncode else done.stdout

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


def snapshotter(folder: Path) -> str:
    """overlayfs where this file system carries it, else plain copies (a container on overlay, for one)."""
    marker = folder / "snapshotter"
    if not marker.exists():
        marker.write_text("overlayfs" if _overlay_works(folder) else "native")
    return marker.read_text()


def _overlay_works(folder: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for part in ("lower", "upper", "work", "merged"):
            Path(place, part).mkdir()
        options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, f"{place}/merged"], capture_output=True, check=False
        )
        if mounted.returncode == 0:
            subprocess.run(["umount", f"{place}/merged"], capture_output=True, check=True)
        return mounted.returncode == 0
