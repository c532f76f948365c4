"""The demo's place for `ferry demo --kubernetes`: a server on this machine and two real clusters that dial in.

Ferry is installed into each cluster as `ferry site manifests` prints it, and nothing of it is there afterwards.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ferryml.bootstrap.certificates import certified
from ferryml.bootstrap.dice import SystemDice
from ferryml.cli.demo.kubectl import Kubectl
from ferryml.cli.demo.stage import SITES, Stage, free_port
from ferryml.domain.errors import FerryError, Refused
from ferryml.sdk.client import Client
from ferryml.sdk.documents import read_document
from ferryml.sdk.sending import Target

SYSTEM, ENVIRONMENTS, TEAM, PLANT = "ferry-system", "ferry-environments", "ferry-demo", "plant"
IMAGE = "docker.io/library/python:3.11-slim-bookworm"
JOIN_LIMIT_S = 240.0
"""Images may have to come from a registry."""
DEFINITIONS = (".ferryml.dev", ".amlarc.azureml.com")
HINT = "Say --kubeconfigs CLOUD.kubeconfig:ONPREM.kubeconfig; in a checkout `make demo-kubernetes` starts two clusters."


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which clusters, and what is special about them.

    Args:
        kubeconfigs: of cloud and onprem.
        host: name or address at which pods of both reach this machine.
        values: file for `ferry site manifests -f`: images, package index, storage; None: the defaults.
    """

    kubeconfigs: tuple[Path, Path]
    host: str
    values: Path | None = None


def chosen(kubeconfigs: str | None, host: str | None, values: Path | None) -> Clusters:
    """From the command line, else FERRY_TEST_KUBECONFIG. Raises Refused(Usage, FileNotFound)."""
    said = kubeconfigs or os.environ.get("FERRY_TEST_KUBECONFIG") or ""
    files = [Path(name).expanduser().resolve() for name in said.split(os.pathsep) if name]
    if len(files) != len(SITES) or len(set(files)) != len(SITES):
        raise Refused("Usage", f"--kubernetes needs the kubeconfigs of two clusters, not {said!r}", HINT)
    if missing := [file for file in (*files, *([values] if values else [])) if not file.is_file()]:
        raise Refused("FileNotFound", f"there is no file {missing[0]}", HINT)
    if not host:
        raise Refused("Usage", "--kubernetes needs --host: where pods of both clusters reach this machine", HINT)
    return Clusters((files[0], files[1]), host, values.resolve() if values else None)


class ClusterStage(Stage):
    """Two clusters; the endpoint is behind the router of onprem, which people here reach by a forwarded port."""

    pause_s: ClassVar[float] = 0.1
    run_limit_s: ClassVar[float] = 600.0

    def __init__(self, root: Path, keep: bool, clusters: Clusters) -> None:
        super().__init__(root, keep)
        self._clusters = clusters
        self._port = self.url.rsplit(":", 1)[1]
        self.url = f"https://127.0.0.1:{self._port}"
        self._router_port = free_port()
        self._known = {name: Kubectl(file) for name, file in zip(SITES, clusters.kubeconfigs, strict=True)}
        self._definitions: dict[str, set[str]] = {}

    @property
    def authority(self) -> Path:
        """PEM file of the authority that signed the server's certificate."""
        return self.root / "ca.pem"

    def serve(self) -> Client:
        """With TLS, on every address of this machine."""
        for name, kubectl in self._known.items():
            self._take(name, kubectl)
        outside, key = self._certify()
        options = ("--host", "0.0.0.0", "--port", self._port, "--public-url", self._inside)  # noqa: S104  pods call it
        self.start(
            "server", "server", *options, "--state-dir", str(self.root / "server"),
            settings={"FERRY_SERVER_TLS_CERT": str(outside), "FERRY_SERVER_TLS_KEY": str(key)},
        )  # fmt: skip
        return self.client()

    def join(self, client: Client) -> None:
        """Install Ferry into both, attach a namespace of each, and reach the router of onprem."""
        with ThreadPoolExecutor() as several:
            list(several.map(lambda name: self._install(client, name), SITES))
        for name in SITES:
            self.online(client, name, JOIN_LIMIT_S)
            # a compute is not attached to a site whose programs are still starting
            for program in ("gateway", "router") if name == "onprem" else ("gateway",):
                whose = ("-n", SYSTEM, f"deployment/ferry-{program}")
                self._known[name].run("rollout", "status", *whose, "--timeout=150s")
            client.computes.create({"name": name, "type": "kubernetes", "site": name, "namespace": TEAM})
            self.say(f"Ferry runs in the cluster of {name} and has dialled in")
        onprem = self._known["onprem"]
        ports = f"{self._router_port}:https"
        self.launch("router", onprem.argv("port-forward", "-n", SYSTEM, "service/ferry-router", ports))

    def keep_data(self, client: Client) -> None:
        """Onto a volume of onprem, by the plant's own pod; Ferry knows its name and nothing more."""
        onprem = self._known["onprem"]
        onprem.apply(*_volume())
        onprem.run("wait", "-n", TEAM, "--for=condition=Ready", f"pod/{PLANT}", "--timeout=150s")
        onprem.copy(self.data, TEAM, PLANT, "/plant")
        onprem.run("delete", "pod", "-n", TEAM, PLANT, "--grace-period=1")
        client.datastores.create(
            {
                "name": "plant", "type": "kubernetes_pvc", "site": "onprem", "claim_name": PLANT, "namespace": TEAM,
                "description": "stays here",
            }
        )  # fmt: skip

    def who(self) -> dict[str, str]:
        """The authority, too."""
        return {**super().who(), "FERRY_CA_BUNDLE": str(self.authority)}

    def trusted(self) -> ssl.SSLContext:
        """The demo's own authority."""
        return ssl.create_default_context(cafile=str(self.authority))

    def target(self, token: str = "") -> Target:
        """By TLS."""
        return Target(self.url, token, self.authority)

    def tails(self) -> str:
        """The clusters' side, too."""
        told = [super().tails()]
        for name in self._definitions:
            for deployment in ("ferry-agent", "ferry-gateway"):
                argv = ("logs", "-n", SYSTEM, f"deployment/{deployment}", "--tail=15")
                told.append(f"--- {deployment} of {name}\n{self._known[name].run(*argv, check=False)}")
        return "\n".join(told)

    def stop(self) -> None:
        """Also takes everything out of the clusters again, as far as they can be reached."""
        super().stop()
        left, self._definitions = self._definitions, {}
        with ThreadPoolExecutor() as several:
            list(several.map(self._leave, left.items()))

    def how_to_stop(self) -> list[str]:
        """The clusters, too."""
        gone = f"{SYSTEM} {ENVIRONMENTS} {TEAM}"
        lines = [f"  kubectl --kubeconfig {one.kubeconfig} delete namespace {gone}" for one in self._known.values()]
        return [*super().how_to_stop(), *lines]

    @property
    def _inside(self) -> str:
        return f"https://{self._clusters.host}:{self._port}"

    def _take(self, name: str, kubectl: Kubectl) -> None:
        """Raises Refused(AlreadyExists) where Ferry lives already: the demo takes away everything that it finds."""
        here = kubectl.names("namespaces") & {f"namespace/{one}" for one in (SYSTEM, ENVIRONMENTS, TEAM)}
        if here:
            raise Refused(
                "AlreadyExists", f"the cluster of {name} has the {sorted(here)[0].replace('/', ' ')} already",
                "Give clusters without Ferry; the demo removes what it installed.",
            )  # fmt: skip
        self._definitions[name] = _definitions(kubectl)
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})

    def _leave(self, left: tuple[str, set[str]]) -> None:
        name, before = left
        try:
            _clear(self._known[name], before)
        except FerryError as error:
            self.say(f"something may be left in the cluster of {name}: {error.message}", mark="!")

    def _certify(self) -> tuple[Path, Path]:
        made = certified(None, ("127.0.0.1", "localhost", self._clusters.host), SystemDice().now())
        chain, key = self.root / "tls.pem", self.root / "tls.key"
        key.touch(mode=0o600)
        for file, text in ((self.authority, made.authority), (chain, made.certificate), (key, made.key)):
            file.write_text(text)
        return chain, key

    def _install(self, client: Client, name: str) -> None:
        made = client.sites.create({"name": name, "zone": name})
        given = read_document(self._clusters.values).data if self._clusters.values else {}
        values = self.root / f"{name}-values.json"
        values.touch(mode=0o600)
        chosen = {**given, "namespaces": [TEAM], "ca": {"pem": self.authority.read_text()}}
        values.write_text(json.dumps(chosen | (self._serving(chosen) if name == "onprem" else {})))
        text = self.ferry(
            "site", "manifests", name, "-f", str(values), "--server", self._inside, "--join-token", made["join_token"]
        )
        self._known[name].run("apply", "--server-side", "-f", "-", given=text.encode())

    def _serving(self, values: dict[str, Any]) -> dict[str, Any]:
        """Further values where endpoints are: a router with the demo's certificate."""
        chain, key = ((self.root / name).read_text() for name in ("tls.pem", "tls.key"))
        address = {"router_url": f"https://127.0.0.1:{self._router_port}"}
        return {
            "cluster": {**values.get("cluster", {}), **address},
            "inference": {"enabled": True, "tls": {"certificate": chain, "key": key, "cname": "localhost"}},
        }


def place(clusters: Clusters) -> Callable[[Path, bool], Stage]:
    """What makes the stage."""
    return lambda root, keep: ClusterStage(root, keep, clusters)


def _volume() -> Iterator[dict[str, Any]]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    yield _named("PersistentVolumeClaim", claim)
    container = {
        "name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"],
        "volumeMounts": [{"name": PLANT, "mountPath": "/plant"}],
    }  # fmt: skip
    volume = {"name": PLANT, "persistentVolumeClaim": {"claimName": PLANT}}
    yield _named("Pod", {"restartPolicy": "Never", "containers": [container], "volumes": [volume]})


def _named(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": PLANT, "namespace": TEAM}, "spec": spec}


def _definitions(kubectl: Kubectl) -> set[str]:
    return {name for name in kubectl.names("customresourcedefinitions") if name.endswith(DEFINITIONS)}


def _clear(kubectl: Kubectl, before: set[str]) -> None:
    """Ferry's programs first, so that nobody makes anew what is removed.

    A router has minutes to end, and Kubernetes looks again at a namespace in which it saw one after half of that; here
    its callers are gone.
    """
    gone = ("--ignore-not-found", "--timeout=100s")
    kubectl.run("delete", "deployments,replicasets", "--all", "-n", SYSTEM, *gone)
    kubectl.run("delete", "pods", "--all", "-n", SYSTEM, "--grace-period=1", *gone)
    kubectl.run("delete", "namespace", SYSTEM, ENVIRONMENTS, TEAM, *gone)
    kubectl.run("delete", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=ferry", *gone)
    if made := sorted(_definitions(kubectl) - before):
        kubectl.run("delete", *made, *gone)
