"""Several clusters on one server: how it carries them at rest, and jobs on all of them at once."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.cluster_kit import LIMIT_S, NAMESPACE, clusters, cpu_s, rss, server_processes, submit_all
from benchmarks.kit import MIB, Figures

JOBS_EACH = 8
REST_S = 20.0


def sites(figures: Figures, world: Any, first: Any, count: int) -> None:
    """`count` sites in all, each a cluster of its own; the first is there already."""
    names = ["bench", *(f"site{number}" for number in range(2, count + 1))]
    with clusters(*names[1:]) as more:
        began = time.perf_counter()
        for name, cluster in zip(names[1:], more, strict=True):
            world.install(cluster, name, namespaces=(NAMESPACE,))
            world.attach(name, name, NAMESPACE)
        figures.add("another site: helm install to online", (time.perf_counter() - began) / len(more), "s")
        server = server_processes(world)
        time.sleep(REST_S)
        used, began = cpu_s(server), time.perf_counter()
        time.sleep(REST_S)
        resting = (cpu_s(server) - used) / (time.perf_counter() - began) * 1000
        figures.add(f"server with {count} sites at rest, CPU", resting, "millicores")
        figures.add(f"server with {count} sites at rest, RSS", rss(server) / MIB, "MiB")
        jobs = [f"of-{name}-{number}" for number in range(JOBS_EACH) for name in names]
        began = time.perf_counter()
        for name in names:
            submit_all(world, [job for job in jobs if job.startswith(f"of-{name}-")], "true", name)
        for job in jobs:
            world.completes(job, within_s=LIMIT_S * 2)
        took = time.perf_counter() - began
        figures.add(f"{len(jobs)} jobs on {count} sites at once, real pods", len(jobs) / took, "jobs/s")
