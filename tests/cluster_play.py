"""A Ferry server on this machine and agents in real clusters, installed with the real helm as IT operations would."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import kubebox_images as images
from https_play import Authority
from kubebox.cluster import Cluster
from kubebox.texts import HUB_NAME
from package_index import PACKAGES, Index, wheelhouse
from system_play import ENDS, W, free_port, until

SYSTEM, ENVIRONMENTS = "ferry-system", "ferry-environments"
IMAGE = "docker.io/library/python:3.11-slim-bookworm"
CHARTS = Path(__file__).parents[1] / "deploy" / "helm"
OURS = "-l=app.kubernetes.io/part-of=ferry"
INSTALL_LIMIT_S = 180
QUICK = {"retry_max_s": 1, "cancel_grace_s": 2, "keep_finished_s": 3600}
"""Settings of a site that let a test see soon what in life may take half a minute."""


class World:
    """A server with TLS of a private authority; `install` joins a cluster to it. `close` ends what was started."""

    def __init__(self, folder: Path, helm: str, packages: Sequence[str] = PACKAGES, **settings: str) -> None:
        self.folder, self.port, self._helm = folder, free_port(), helm
        self.authority = Authority(folder, "ferry-tests", names=(HUB_NAME, "localhost"))
        chain, key = self.authority.server_files()
        self.inside = f"https://{HUB_NAME}:{self.port}"
        """The server as clusters reach it."""
        self.environment = {
            **os.environ, "FERRY_SERVER_TLS_CERT": str(chain), "FERRY_SERVER_TLS_KEY": str(key),
            "FERRY_SERVER_PUBLIC_URL": self.inside, **settings,
        }  # fmt: skip
        self.url = f"https://127.0.0.1:{self.port}"
        context = ssl.create_default_context(cafile=str(self.authority.bundle))
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", timeout=60, trust_env=False, verify=context)
        self.index = Index(wheelhouse(packages, locked=packages is PACKAGES))
        self._server: subprocess.Popen[bytes] | None = None
        self._installed: list[tuple[Cluster, tuple[str, ...]]] = []

    # programs

    def serve(self) -> None:
        """Start the server and wait until it answers."""
        argv = [sys.executable, "-m", "ferryml.cli.main", "server", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*argv, "--state-dir", str(self.folder / "server")], stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=self.environment, cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        until(self._answers, 90, self.tail)
        token = (self.folder / "server" / "admin.token").read_text().strip()
        self.api.headers["Authorization"] = f"Bearer {token}"

    def kill_server(self) -> None:
        """kill -9."""
        assert self._server is not None
        self._server.kill()
        self._server.wait(10)

    @contextmanager
    def without_server(self) -> Iterator[None]:
        """The server is killed, and serves again after the block."""
        self.kill_server()
        try:
            yield
        finally:
            self.serve()

    def install(
        self, cluster: Cluster, site: str, zone: str = "", namespaces: tuple[str, ...] = ("default",),
        values: Mapping[str, Any] | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        """`helm install` the agent into a cluster and wait until its site is online."""
        cluster.expose(self.port)
        cluster.expose(self.index.port)
        for name in ("agent", "runner"):
            cluster.load_image(images.build(name))
        for name in namespaces:
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        said = self.post("/sites", {"name": site, "zone": zone})
        index = self.index.url(HUB_NAME)
        chosen: dict[str, Any] = {
            "site": {
                "name": site,
                "server_url": self.inside,
                "zone": zone,
                "package_index": index,
                **QUICK,
                **settings,
            },
            "joinToken": said["join_token"],
            "namespaces": list(namespaces),
            "images": {"tag": "latest", "pullPolicy": "Never"},
            "ca": {"pem": self.authority.bundle.read_text()},
            "gateway": {"store": {"kind": "ephemeral"}},
        }
        chosen = merged(chosen, values or {})
        programs = ("gateway", "router") if chosen.get("inference", {}).get("enabled") else ("gateway",)
        file = self.folder / f"{site}-values.json"
        file.write_text(json.dumps(chosen))
        # one that a release of another name has left is not taken over
        cluster.kubectl("delete", "namespace", ENVIRONMENTS, "--ignore-not-found", "--timeout=60s", limit_s=90)
        try:
            self.helm(
                cluster, "install", "ferry", str(CHARTS / "ferry-agent"), "--create-namespace", "--values", str(file)
            )
            self._installed.append((cluster, namespaces))
            until(lambda: self.get(f"/sites/{site}")["provisioning_state"] == "Online", INSTALL_LIMIT_S, self.tail)
            # a compute is not attached to a site whose programs are still starting
            for name in programs:
                whose = ("-n", SYSTEM, f"deployment/ferry-{name}")
                cluster.kubectl("rollout", "status", *whose, "--timeout=150s", limit_s=160)
        except BaseException:
            print(self.tail_of(cluster), file=sys.stderr)
            raise

    def helm(self, cluster: Cluster, *args: str, namespace: str = SYSTEM) -> str:
        """One helm command against a cluster, to its end."""
        argv = [self._helm, *args, "--namespace", namespace, "--kubeconfig", str(cluster.kubeconfig)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_LIMIT_S + 60, check=False)
        assert done.returncode == 0, f"helm {args[0]}: {done.stderr[-3000:]}\n{self.tail_of(cluster)}"
        return done.stdout

    def ferry(self, *args: str, ok: bool = True, cwd: Path | None = None) -> str:
        """One `ferry` command to its end; what it printed (on standard error where it failed)."""
        said = {"FERRY_URL": self.url, "FERRY_TOKEN": self.token, "SSL_CERT_FILE": str(self.authority.bundle)}
        done = subprocess.run(
            [sys.executable, "-m", "ferryml.cli.main", *args], capture_output=True, text=True, timeout=600, check=False,
            cwd=cwd or self.folder, env={**os.environ, **said},
        )  # fmt: skip
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout if ok else done.stderr

    @property
    def token(self) -> str:
        return self.api.headers["Authorization"].partition(" ")[2]

    def close(self) -> None:
        """Sites first, so that nothing waits for a server that is gone."""
        # a cluster that has ended took all of it along
        there = [one for one in self._installed if one[0].kubeconfig.exists()]
        with ThreadPoolExecutor() as several:
            list(several.map(lambda one: _clear(*one), there))
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self.kill_server()
        self.api.close()
        self.index.close()

    # requests

    def get(self, path: str, **params: Any) -> Any:
        said = self.api.get(path, params=params)
        assert said.status_code == 200, said.text
        return said.json()

    def post(self, path: str, body: Any = None, status: int = 0) -> Any:
        said = self.api.post(path, json=body)
        assert said.status_code == status if status else said.status_code < 300, said.text
        return said.json() if said.content else None

    def attach(self, name: str, site: str, namespace: str = "default", **spec: Any) -> None:
        """A compute on a namespace of the site's cluster."""
        self.post(f"{W}/computes", {"name": name, "type": "kubernetes", "site": site, "namespace": namespace, **spec})

    def submit(self, name: str, command: str, compute: str, **spec: Any) -> None:
        job = {
            "type": "command", "name": name, "command": command, "compute": f"azureml:{compute}",
            "environment": {"name": "plain", "image": IMAGE}, **spec,
        }  # fmt: skip
        self.post(f"{W}/jobs", job)

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"{W}/jobs/{name}")
        return found

    def settles(self, name: str, *phases: str, within_s: float = 120) -> dict[str, Any]:
        """The job once it is in one of these phases (any end when none is named)."""
        until(lambda: self.job(name)["status"] in (phases or ENDS), within_s, lambda: self._story(name))
        return self.job(name)

    def completes(self, name: str, within_s: float = 120) -> dict[str, Any]:
        """The job, which must end well."""
        job = self.settles(name, within_s=within_s)
        assert job["status"] == "Completed", self._story(name)
        return job

    def log(self, name: str, path: str = "user_logs/std_log.txt") -> str:
        return self.api.get(f"{W}/jobs/{name}/logs/content", params={"path": path}).text

    def output(self, job: Mapping[str, Any], name: str = "default") -> dict[str, bytes]:
        """Files of a job's output as the server holds them."""
        outputs = job["ferry"]["outputs"]
        assert name in outputs, outputs
        blobs = f"{W}/artifacts/blobs"
        entries = self.get(f"{blobs}/{outputs[name]['tree']['digest']}")["entries"]
        return {entry["path"]: self.api.get(f"{blobs}/{entry['digest']}").content for entry in entries}

    # stories of what went wrong

    def tail(self) -> str:
        """The end of the server's log, and of each site's programs."""
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()[-20:]
        return "\n".join([*lines, *(self.tail_of(cluster) for cluster, _ in self._installed)])

    def tail_of(self, cluster: Cluster) -> str:
        """What agent and gateway of a cluster said last, and its pods."""
        parts = [cluster.kubectl("get", "pods", "-A", "-o", "wide", check=False)]
        for program in ("ferry-agent", "ferry-gateway"):
            where = ("-n", SYSTEM, f"deployment/{program}", "--tail=30")
            parts.append(f"--- {program}\n" + cluster.kubectl("logs", *where, check=False))
        return "\n".join(parts)

    def _story(self, name: str) -> str:
        job = self.job(name)
        return f"{json.dumps(job['ferry'], indent=1)}\n{self.log(name)}\n{self.tail()}"

    def _answers(self) -> bool:
        try:
            return self.api.get("/version").status_code == 200
        except httpx.HTTPError:
            return False


def _clear(cluster: Cluster, namespaces: Sequence[str]) -> None:
    """All of it is awaited, for the next world may be installed under the same name."""
    gone = (SYSTEM, ENVIRONMENTS, *(name for name in namespaces if name != "default"))
    # pods first, and who would make them anew: Kubernetes looks again at a namespace in which it saw a router only
    # after half of that one's grace
    for what in (("deployments,replicasets",), ("pods", "--grace-period=0", "--force")):
        cluster.kubectl("delete", *what, "--all", "-n", SYSTEM, "--timeout=60s", check=False, limit_s=90)
    cluster.kubectl("delete", "namespace", *gone, "--ignore-not-found", "--timeout=90s", check=False, limit_s=100)
    cluster.kubectl("delete", "clusterroles,clusterrolebindings", OURS, check=False)


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = merged(made[key], value) if both else value
    return made
