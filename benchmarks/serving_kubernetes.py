"""Serving on a cluster: what the router adds, models of little room, load that steps up, updates, weights, many."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks import serving_changes, serving_models, serving_traffic
from benchmarks.cluster_kit import a_world, clusters
from benchmarks.kit import Figures, folder, measured
from benchmarks.serving_kit import PACKAGES, Stage

TOOLS = ("kubernetes", "helm", "buildah", "haproxy")


def run(quick: bool) -> Figures:
    """On kubebox; needs root and wrk. What is compared is measured in turns against the same pods."""
    figures = Figures("serving_kubernetes")
    with folder() as base, a_world(base, PACKAGES, TOOLS) as world, clusters("bench") as [cluster]:
        stage = Stage(figures, world, cluster, base, quick)
        stage.install()
        parts: tuple[tuple[str, Callable[[Stage], None]], ...] = (
            ("small pods", serving_models.small),
            ("traffic", serving_traffic.ways),
            ("idle", serving_traffic.idle),
            ("step of load", serving_models.step),
            ("updates", serving_models.updates),
            ("weights", serving_changes.weights),
            ("many endpoints", serving_changes.many),
            ("three routers", serving_changes.three),
        )
        for name, part in parts:
            measured(figures, name, partial(part, stage))
    return figures
