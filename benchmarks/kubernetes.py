"""Real clusters: from `helm install` to the first job, submit to pod, logs, many jobs, bytes, environments, idle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks import cluster_bytes, cluster_crowd, cluster_environments, cluster_jobs, cluster_sites
from benchmarks.cluster_kit import NAMESPACE, a_world, clusters
from benchmarks.kit import Figures, folder, measured


def run(quick: bool) -> Figures:
    """On kubebox; needs root. What is compared is measured in turns on the same cluster; twenty minutes at most."""
    figures = Figures("kubernetes")
    with folder() as base:
        cluster_environments.make_wheels(base / "wheels", quick)
        with a_world(base) as world, clusters("bench") as [cluster]:
            cluster_environments.serve_wheels(world, base / "wheels")
            _install(figures, world, cluster)
            parts: tuple[tuple[str, Callable[[], None]], ...] = (
                ("submit to pod", lambda: cluster_jobs.pods(figures, world, cluster, 5 if quick else 25)),
                ("commands", lambda: cluster_jobs.commands(figures, world, cluster, base, 3 if quick else 20)),
                ("logs", lambda: cluster_jobs.logs(figures, world, 5 if quick else 20)),
                ("short jobs", lambda: cluster_jobs.short_jobs(figures, world, 10 if quick else 55)),
                ("idle", lambda: cluster_jobs.idle(figures, cluster, 20 if quick else 300)),
                ("gateway", lambda: cluster_bytes.gateway(figures, world, cluster, base, quick)),
                ("data set", lambda: cluster_bytes.data_set(figures, world, cluster, 32 if quick else 256)),
                ("environments", lambda: cluster_environments.starts(figures, world, quick)),
                ("crowd", lambda: cluster_crowd.crowd(figures, world, cluster, 50 if quick else 1000)),
                ("sites", lambda: cluster_sites.sites(figures, world, cluster, 2 if quick else 5)),
            )
            for name, part in parts:
                measured(figures, name, part)
    return figures


def _install(figures: Figures, world: Any, cluster: Any) -> None:
    began = time.perf_counter()
    world.install(cluster, "bench", namespaces=(NAMESPACE,))
    figures.add("helm install (images loaded) to site online", time.perf_counter() - began, "s")
    world.attach("bench", "bench", NAMESPACE)
    first = time.perf_counter()
    world.submit("first", "true", "bench")
    world.completes("first")
    figures.add("first job, submit to Completed", time.perf_counter() - first, "s")
    figures.add("helm install to first job Completed", time.perf_counter() - began, "s")
