"""Bytes in a cluster: the gateway beside the loopback, and pods that read one data set directly."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import streams
from benchmarks.cluster_kit import IMAGE, LIMIT_S, NAMESPACE, W, pod_address, pod_token
from benchmarks.kit import MIB, ROOT, Figures, Program, median, stopwatch, until

READERS = 8
HOLDS = "while [ ! -e outputs/go ]; do sleep 0.2; done"


def gateway(figures: Figures, world: Any, cluster: Any, base: Path, quick: bool) -> None:
    """One file down and up through the gateway (TLS, who a pod is, what it may have), and over the bare loopback."""
    size, rounds = (16 if quick else 256) * MIB, 2 if quick else 5
    data = os.urandom(size)
    (base / "file.bin").write_bytes(data)
    (base / "holds.yml").write_text(
        f"type: command\ncommand: {HOLDS}\nenvironment: {{image: '{IMAGE}'}}\ncompute: azureml:bench\n"
        "inputs:\n  file: {type: uri_file, path: ./file.bin}\n"
    )
    world.ferry("job", "create", "-f", "holds.yml", "-n", "holds", cwd=base)
    world.settles("holds", "Running", within_s=LIMIT_S)
    pod = _pod(cluster, "holds")
    token, door = pod_token(cluster, pod), f"https://{pod_address(cluster, 'ferry-gateway')}:8443"
    blob = f"{door}/v1/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    node, bare = cluster.at.namespace(0), Program([sys.executable, "-m", "benchmarks.streams"], base / "bare.log")
    try:
        url = bare.ready()
        ways: dict[str, Callable[[], float]] = {
            "loopback: bare socket": lambda: _socket(data),
            "loopback: bare HTTP server, down": lambda: _fetch("", "down", f"{url}/{size}", size, ""),
            "loopback: bare HTTP server, up": lambda: _fetch("", "up", url, size, ""),
            "gateway, down": lambda: _fetch(node, "down", blob, size, token),
            "gateway, up": lambda: _fetch(node, "up", f"{door}/v1/blobs", size, token),
        }
        took: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, way in ways.items():
                took.setdefault(name, []).append(way())
    finally:
        bare.stop()
        world.post(f"{W}/jobs/holds/cancel")
    for name, seconds in took.items():
        figures.add(name, median([size / MIB / one for one in seconds]), "MiB/s")
    figures.notes.append(f"gateway and loopback: {size // MIB} MiB, {rounds} rounds; its client is in a node's network")


def data_set(figures: Figures, world: Any, cluster: Any, size_mib: int) -> None:
    """A volume claim that pods mount: one reads it, then eight at once, each all of it.

    The datastore names no site: what is on a site's own store stays there, and so do the logs that tell the figures.
    """
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": f"{size_mib * 2}Mi"}}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "set"}, "spec": claim},
        namespace=NAMESPACE,
    )
    world.post(f"{W}/datastores", {"name": "shared", "type": "kubernetes_pvc", "claim_name": "set"})
    place = "azureml://datastores/shared/paths/rows"
    world.submit(
        "fills", f"dd if=/dev/urandom of=${{{{outputs.rows}}}}/part bs=1M count={size_mib} 2> /dev/null", "bench",
        outputs={"rows": {"type": "uri_folder", "path": place, "mode": "rw_mount"}},
    )  # fmt: skip
    world.completes("fills", within_s=LIMIT_S)
    for pods in (1, READERS):
        name = f"reads-{pods}"
        reads = "t0=$(date +%s.%N); cat ${{inputs.rows}}/part > /dev/null; t1=$(date +%s.%N); echo took $t0 $t1"
        world.submit(
            name, reads, "bench", inputs={"rows": {"type": "uri_folder", "path": place, "mode": "ro_mount"}},
            resources={"instance_count": pods},
            **({"distribution": {"type": "pytorch", "process_count_per_instance": 1}} if pods > 1 else {}),
        )  # fmt: skip
        world.completes(name, within_s=LIMIT_S * 2)
        logs = ["user_logs/std_log.txt", *(f"user_logs/std_log_process_{rank}.txt" for rank in range(1, pods))]
        spans = [re.findall(r"took (\S+) (\S+)", world.log(name, log)) for log in logs]
        if any(len(span) != 1 for span in spans):
            raise RuntimeError(f"{name}: not every pod has said how long it read: {spans}")
        took = [float(end) - float(began) for [(began, end)] in spans]
        what = f"{pods} pods read one data set at once, each" if pods > 1 else "1 pod reads a data set"
        figures.add(what, size_mib / median(took), "MiB/s")
    figures.notes.append(f"data set: {size_mib} MiB on a mounted volume, from the page cache")


def _pod(cluster: Any, job: str) -> str:
    def look() -> str:
        pods = cluster.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        return next((pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith(f"{job}-")), "")

    return until(look, LIMIT_S)


def _socket(data: bytes) -> float:
    with stopwatch() as took:
        streams.sink(data)
    return took[0]


def _fetch(namespace: str, way: str, url: str, size: int, token: str) -> float:
    enter = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
    argv = [*enter, sys.executable, "-m", "benchmarks.cluster_fetch", way, url, str(size)]
    done = subprocess.run(argv, cwd=ROOT, input=f"{token}\n", capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} {url}: {done.stderr.strip()[-500:]}")
    return float(done.stdout)
