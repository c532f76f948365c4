"""A real cluster: from `helm install` to the first job, submit to pod beside a bare Job, live logs, an idle agent."""

from __future__ import annotations

import importlib
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.kit import MIB, ROOT, Figures, folder

W = "/workspaces/default"
LIMIT_S = 180.0
NAMESPACE = "bench"


def run(quick: bool) -> Figures:
    """On one node of kubebox; needs root. Both sides of each comparison are measured in turns on the same cluster."""
    figures = Figures("kubernetes")
    with folder() as base, _world(base) as world, _cluster() as cluster:
        began = time.perf_counter()
        world.install(cluster, "bench", namespaces=(NAMESPACE,))
        figures.add("helm install to site online", time.perf_counter() - began, "s")
        world.attach("bench", "bench", NAMESPACE)
        began = time.perf_counter()
        world.submit("first", "true", "bench")
        world.completes("first")
        figures.add("first job, submit to Completed", time.perf_counter() - began, "s")
        _pods(figures, world, cluster, 5 if quick else 30)
        _logs(figures, world, 5 if quick else 20)
        _short_jobs(figures, world, 10 if quick else 60)
        _idle(figures, cluster, 20 if quick else 300)
    return figures


def _pods(figures: Figures, world: Any, cluster: Any, rounds: int) -> None:
    """The time until the API server has the pod: a Job made by hand, and `POST /jobs` to the server, in turns."""
    bare, ours, ends = [], [], []
    for number in range(rounds):
        began = time.perf_counter()
        cluster.api.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", _bare(f"bare-{number}"))
        bare.append((_until_pod(cluster, f"bare-{number}-") - began) * 1000)
        began = time.perf_counter()
        world.submit(f"ours-{number}", "true", "bench")
        ours.append((_until_pod(cluster, f"ours-{number}-") - began) * 1000)
        world.completes(f"ours-{number}")
        ends.append(time.perf_counter() - began)
    figures.spread("a Job made by hand to its pod", bare, "ms")
    figures.spread("submit to pod", ours, "ms")
    figures.spread("submit to Completed", ends, "s")


def _logs(figures: Figures, world: Any, lines: int) -> None:
    """From a program's print to the server's copy of the log; both clocks are this machine's."""
    world.submit("talks", f"i=0; while [ $i -lt {lines} ]; do date +%s.%N; sleep 1; i=$((i+1)); done", "bench")
    late: list[float] = []
    until = time.monotonic() + LIMIT_S
    while len(late) < lines and time.monotonic() < until:
        said = re.findall(r"^\d+\.\d+$", world.log("talks"), re.MULTILINE)
        now = time.time()
        late += [(now - float(stamp)) * 1000 for stamp in said[len(late) :]]
        time.sleep(0.02)
    world.completes("talks")
    figures.spread("a line printed to the server's log", late, "ms")


def _short_jobs(figures: Figures, world: Any, count: int) -> None:
    began = time.perf_counter()
    for number in range(count):
        world.submit(f"short-{number}", "true", "bench")
    for number in range(count):
        world.completes(f"short-{number}", within_s=LIMIT_S + count * 5)
    figures.add(f"{count} jobs at once, each a real pod", count / (time.perf_counter() - began), "jobs/s")


def _idle(figures: Figures, cluster: Any, seconds: int) -> None:
    """CPU and memory of agent and gateway while nothing happens, with the finished jobs still in the cluster."""
    time.sleep(5)
    programs = {name: _processes(cluster, name) for name in ("ferry-agent", "ferry-gateway")}
    before = {name: _cpu_s(found) for name, found in programs.items()}
    began = time.perf_counter()
    time.sleep(seconds)
    took = time.perf_counter() - began
    for name, found in programs.items():
        figures.add(f"{name} idle, CPU", (_cpu_s(found) - before[name]) / took * 1000, "millicores")
        figures.add(f"{name} idle, RSS", sum(one.memory_info().rss for one in found) / MIB, "MiB")
    jobs = len(cluster.api.get("/apis/ferryml.dev/v1alpha1/mljobs")["items"])
    figures.notes.append(f"idle over {seconds} s with {jobs} finished jobs")


def _processes(cluster: Any, deployment: str) -> list[psutil.Process]:
    """Of the pods of a Deployment, found by the pod's uid in the processes' control groups."""
    pods = cluster.api.get("/api/v1/namespaces/ferry-system/pods")["items"]
    uids = [pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"].startswith(deployment)]
    found = []
    for process in psutil.process_iter():
        try:
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
        except OSError:
            continue
        if any(uid in groups or uid.replace("-", "_") in groups for uid in uids) and "ferry" in " ".join(
            _argv(process)
        ):
            found.append(process)
    if not found:
        raise RuntimeError(f"no process of {deployment} was found")
    return found


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _until_pod(cluster: Any, prefix: str) -> float:
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        pods = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        if any(pod["metadata"]["name"].startswith(prefix) for pod in pods):
            return time.perf_counter()
        time.sleep(0.005)
    raise RuntimeError(f"no pod {prefix}* within {LIMIT_S:g} s")


def _bare(name: str) -> dict[str, Any]:
    container = {
        "name": "main", "image": "docker.io/library/python:3.11-slim-bookworm", "command": ["true"],
        "imagePullPolicy": "Never",
    }  # fmt: skip
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}


@contextmanager
def _world(base: Path) -> Iterator[Any]:
    """The world of the cluster tests: a server with TLS, real charts, real images."""
    components, play = _tests("components"), _tests("cluster_play")
    for needed in ("kubernetes", "helm", "buildah"):
        components.ensure(needed)
    made = play.World(base, components.find("helm")["helm"])
    try:
        made.serve()
        yield made
    finally:
        made.close()


@contextmanager
def _cluster() -> Iterator[Any]:
    cluster = _tests("kubebox.cluster").Cluster.up("bench", 1)
    try:
        yield cluster
    finally:
        cluster.down()


def _tests(name: str) -> Any:
    """The harness lives with the tests."""
    for place in ("tests", "scripts"):
        if str(ROOT / place) not in sys.path:
            sys.path.insert(0, str(ROOT / place))
    return importlib.import_module(name)
