"""What the benchmarks on clusters share: a server and kubebox clusters as tests have them, and looks from outside."""

from __future__ import annotations

import contextlib
import importlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.kit import MIB, ROOT

W = "/workspaces/default"
NAMESPACE, SYSTEM = "bench", "ferry-system"
IMAGE = "docker.io/library/python:3.11-slim-bookworm"
LIMIT_S = 180.0
POOL = 4
"""Callers at once, where many jobs are submitted."""


def tests(name: str) -> Any:
    """A module of the harness, which lives with the tests."""
    for place in ("tests", "scripts"):
        if str(ROOT / place) not in sys.path:
            sys.path.insert(0, str(ROOT / place))
    return importlib.import_module(name)


@contextmanager
def a_world(
    base: Path, packages: Sequence[str] = (), tools: Sequence[str] = ("kubernetes", "helm", "buildah", "kwok")
) -> Iterator[Any]:
    """A server with TLS, real charts, real images, and a package index; `packages`: instead of those of the tests."""
    components, play = tests("components"), tests("cluster_play")
    for needed in tools:
        components.ensure(needed)
    made = play.World(base, components.find("helm")["helm"], *((tuple(packages),) if packages else ()))
    try:
        made.serve()
        yield made
    finally:
        made.close()


@contextmanager
def clusters(*names: str) -> Iterator[list[Any]]:
    """One node each; gone afterwards."""
    kind = tests("kubebox.cluster").Cluster
    started: list[Any] = []
    try:
        with ThreadPoolExecutor(2) as several:
            for one in [several.submit(kind.up, name, 1) for name in names]:
                started.append(one.result())
        yield started
    finally:
        for cluster in started:
            cluster.down()


class PodTimes:
    """When the API server first told of a pod, by the clock `perf_counter`: kubectl watches a namespace."""

    def __init__(self, cluster: Any, namespace: str = NAMESPACE) -> None:
        self._seen: dict[str, float] = {}
        self._changed = threading.Condition()
        self._kubectl = watch_pods(cluster, namespace, "{.metadata.name}")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> PodTimes:
        return self

    def __exit__(self, *error: object) -> None:
        self._kubectl.terminate()
        self._kubectl.wait(10)
        self._thread.join(5)

    def of(self, prefix: str) -> float:
        """Of the first pod whose name begins so; waits for it. Raises TimeoutError."""
        end = time.monotonic() + LIMIT_S
        with self._changed:
            while True:
                found = [at for name, at in self._seen.items() if name.startswith(prefix)]
                if found:
                    return min(found)
                if not self._changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"no pod {prefix}* within {LIMIT_S:g} s")

    def _read(self) -> None:
        for line in self._kubectl.stdout or ():
            at = time.perf_counter()
            with self._changed:
                self._seen.setdefault(line.strip(), at)
                self._changed.notify_all()


def watch_pods(cluster: Any, namespace: str, wanted: str) -> subprocess.Popen[str]:
    """kubectl that prints a line of this JSONPath whenever a pod changes."""
    program = str(tests("kubebox.places").program("kubernetes"))
    told = ("get", "pods", "-n", namespace, "--watch", "-o", f"jsonpath={wanted}{{'\\n'}}")
    return subprocess.Popen(
        [program, "kubectl", "--kubeconfig", str(cluster.kubeconfig), *told], stdout=subprocess.PIPE, text=True
    )


class Programs:
    """Processes of Ferry's Deployments in a cluster, found by their pods' uids in the control groups."""

    def __init__(self, cluster: Any, names: Sequence[str] = ("ferry-agent", "ferry-gateway")) -> None:
        self._found = {name: processes(cluster, name) for name in names}
        self._before = self._used()
        self._began = time.perf_counter()

    def tell(self, figures: Any, what: str) -> None:
        """CPU since the start, memory now."""
        took = time.perf_counter() - self._began
        for name, used in self._used().items():
            figures.add(f"{name} {what}, CPU", (used - self._before[name]) / took * 1000, "millicores")
            figures.add(f"{name} {what}, RSS", rss(self._found[name]) / MIB, "MiB")

    def _used(self) -> dict[str, float]:
        return {name: cpu_s(found) for name, found in self._found.items()}


def server_processes(world: Any) -> list[psutil.Process]:
    """Of the server."""
    one = psutil.Process(world._server.pid)
    return [one, *one.children(recursive=True)]


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Seconds used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def rss(processes: Sequence[psutil.Process]) -> float:
    """Bytes."""
    return float(sum(process.memory_info().rss for process in processes))


def own_requests(cluster: Any) -> float:
    """How many requests of service accounts outside kube-system the API server has let through: Ferry's own."""
    text = cluster.kubectl("get", "--raw", "/metrics", limit_s=60)
    kind = r"apiserver_flowcontrol_dispatched_requests_total\{flow_schema=\"service-accounts\"[^}]*\} (\S+)"
    return sum(float(number) for number in re.findall(kind, text))


def pod_address(cluster: Any, deployment: str) -> str:
    """Of its first pod."""
    pods = cluster.api.get(f"/api/v1/namespaces/{SYSTEM}/pods")["items"]
    return next(
        str(pod["status"]["podIP"])
        for pod in pods
        if pod["metadata"]["name"].startswith(deployment) and pod["status"].get("podIP")
    )


def pod_token(cluster: Any, pod: str, uid: str = "") -> str:
    """As its sidecar shows it to the gateway."""
    bound = {"kind": "Pod", "apiVersion": "v1", "name": pod} | ({"uid": uid} if uid else {})
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token"
    made = cluster.api.post(path, {"spec": {"audiences": ["ferry-gateway"], "boundObjectRef": bound}})
    return str(made["status"]["token"])


def submit_all(world: Any, names: Sequence[str], command: str, compute: str, **spec: Any) -> None:
    """Many jobs, a few callers."""
    with ThreadPoolExecutor(POOL) as several:
        list(several.map(lambda name: world.submit(name, command, compute, **spec), names))


def running_at(world: Any, name: str) -> float:
    """`perf_counter` when the server calls the job Running, or over."""
    end = time.monotonic() + LIMIT_S * 4
    while time.monotonic() < end:
        phase = world.job(name)["status"]
        if phase in ("Failed", "Canceled"):
            raise RuntimeError(f"job {name}: {world.job(name)['ferry']}")
        if phase in ("Running", "Finalizing", "Completed"):
            return time.perf_counter()
        time.sleep(0.02)
    raise TimeoutError(f"job {name} does not run: {world.job(name)['ferry']}")


def processes(cluster: Any, deployment: str, missing_ok: bool = False) -> list[psutil.Process]:
    """Those of Ferry's in the pods of a Deployment, found by the pods' uids in the control groups."""
    pods = cluster.api.get(f"/api/v1/namespaces/{SYSTEM}/pods")["items"]
    uids = [pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"].startswith(deployment)]
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
            ours = any(uid in groups or uid.replace("-", "_") in groups for uid in uids)
            if ours and "ferry" in " ".join(process.cmdline()):
                found.append(process)
    if not found and not missing_ok:
        raise RuntimeError(f"no process of {deployment} was found")
    return found
