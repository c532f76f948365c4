"""Jobs one after another: submit to pod beside a bare Job, log lines, short jobs on real pods, an idle agent."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from benchmarks.cluster_kit import IMAGE, LIMIT_S, NAMESPACE, PodTimes, Programs, submit_all
from benchmarks.kit import Figures

IDLE_WITH = 100
"""Finished jobs that an idle agent keeps."""


def pods(figures: Figures, world: Any, cluster: Any, rounds: int) -> None:
    """By request, in turns, until the pod is there: a Job given to the API server, and `POST /jobs` to Ferry."""
    bare, ours, ends = [], [], []
    with PodTimes(cluster) as times:
        for number in range(rounds):
            began = time.perf_counter()
            cluster.api.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", _bare(f"bare-{number}"))
            bare.append((times.of(f"bare-{number}-") - began) * 1000)
            began = time.perf_counter()
            world.submit(f"ours-{number}", "true", "bench")
            ours.append((times.of(f"ours-{number}-") - began) * 1000)
            world.completes(f"ours-{number}")
            ends.append(time.perf_counter() - began)
    figures.spread("request to the API server to pod", bare, "ms")
    figures.spread("request to Ferry to pod", ours, "ms")
    figures.spread("request to Ferry to Completed", ends, "s")


def commands(figures: Figures, world: Any, cluster: Any, base: Path, rounds: int) -> None:
    """By command, in turns: `kubectl create job` and `ferry job create`, the start of the program included."""
    file = base / "job.yml"
    file.write_text(f"type: command\ncommand: 'true'\nenvironment: {{image: '{IMAGE}'}}\ncompute: azureml:bench\n")
    by_kubectl, by_ferry = [], []
    with PodTimes(cluster) as times:
        for number in range(rounds):
            began = time.perf_counter()
            cluster.kubectl("create", "job", f"plain-{number}", "-n", NAMESPACE, f"--image={IMAGE}", "--", "true")
            by_kubectl.append((times.of(f"plain-{number}-") - began) * 1000)
            began = time.perf_counter()
            world.ferry("job", "create", "-f", str(file), "-n", f"typed-{number}")
            by_ferry.append((times.of(f"typed-{number}-") - began) * 1000)
            world.completes(f"typed-{number}")
    figures.spread("kubectl create job to pod", by_kubectl, "ms")
    figures.spread("ferry job create to pod", by_ferry, "ms")


def logs(figures: Figures, world: Any, lines: int) -> None:
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


def short_jobs(figures: Figures, world: Any, count: int) -> None:
    """At once, each a real pod with its containers."""
    names = [f"short-{number}" for number in range(count)]
    began = time.perf_counter()
    submit_all(world, names, "true", "bench")
    for name in names:
        world.completes(name, within_s=LIMIT_S + count * 5)
    figures.add(f"{count} jobs at once, each a real pod", count / (time.perf_counter() - began), "jobs/s")


def idle(figures: Figures, cluster: Any, seconds: int) -> None:
    """CPU and memory of agent and gateway while nothing happens, with the finished jobs still in the cluster."""
    time.sleep(5)
    programs = Programs(cluster)
    time.sleep(seconds)
    programs.tell(figures, "idle")
    jobs = len(cluster.api.get("/apis/ferryml.dev/v1alpha1/mljobs")["items"])
    short = "" if jobs >= IDLE_WITH else f" ({IDLE_WITH} are wanted)"
    figures.notes.append(f"idle over {seconds} s with {jobs} finished jobs{short}")


def _bare(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "command": ["true"], "imagePullPolicy": "Never"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}
