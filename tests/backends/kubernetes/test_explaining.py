"""The cluster's explainer: at once from the caches, better after it has asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from explain_play import recorded
from ferryml.backends.kubernetes.explaining import KubeExplainer
from ferryml.backends.kubernetes.kube import Manifest
from ferryml.backends.kubernetes.observe import View
from ferryml.domain.orders import JobOrder
from ferryml.domain.seen import JobSeen
from kube_jobs_play import PlayCluster

UID = "job.w.j"
QUEUED = JobSeen(state="queued", message="no place")


class Scene:
    """One launched job whose pod is in a recorded state."""

    def __init__(self, state: str) -> None:
        self.cluster, self.known = PlayCluster(), threading.Event()
        self.cluster.launch()
        self.cluster.settle()
        kept = recorded()["states"][state]
        self.pod = self.cluster.pod(self.cluster.job(), **kept["pods"][0]["status"])
        self.cluster.kube.write({**self.pod, "spec": kept["pods"][0]["spec"]})
        self.explainer = KubeExplainer(
            self.cluster.kube, self.cluster.watched, self.order, self.cluster.clock, lambda uid: self.known.set()
        )
        self.explainer.start()

    def order(self, uid: str) -> JobOrder | None:
        wish = self.cluster.ledger.wish(uid)
        return wish.order if wish and isinstance(wish.order, JobOrder) else None

    def view(self) -> View:
        pods: tuple[Manifest, ...] = tuple(self.cluster.watched.pods.all())
        return View(job=self.cluster.watched.jobs.all()[0], pods=pods)

    def checks(self, seen: JobSeen = QUEUED) -> list[str]:
        return [each.check for each in self.explainer.findings(UID, 1, self.view(), seen)]

    def close(self) -> None:
        self.explainer.stop()
        self.cluster.close()


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("scene", ["selector"], indirect=True)
def test_what_waits_is_explained_at_once_and_better_after_asking(scene: Scene) -> None:
    assert scene.checks() == ["unschedulable.selector"]
    first = scene.explainer.findings(UID, 1, scene.view(), QUEUED)[0]
    assert "pool=gpu" not in first.cause
    scene.cluster.clock.passes(3)
    scene.checks()
    assert scene.known.wait(5)
    better = scene.explainer.findings(UID, 1, scene.view(), QUEUED)[0]
    assert "pool=gpu" in better.cause


@pytest.mark.parametrize("scene", ["oom"], indirect=True)
def test_failures_are_explained_from_the_caches(scene: Scene) -> None:
    seen = JobSeen(state="exited", exit_code=137, code="PodOutOfMemory")
    assert scene.checks(seen)[0] == "memory.oom"


@pytest.mark.parametrize("scene", ["selector"], indirect=True)
def test_what_runs_or_ended_well_needs_no_explanation(scene: Scene) -> None:
    assert scene.checks(JobSeen(state="running")) == []
    assert scene.checks(JobSeen(state="exited", exit_code=0)) == []


@pytest.mark.parametrize("scene", ["selector"], indirect=True)
def test_a_cluster_that_does_not_answer_is_asked_again_later(scene: Scene) -> None:
    scene.cluster.kube.away = True
    scene.cluster.clock.passes(1)
    scene.checks()
    scene.cluster.clock.passes(3)
    assert scene.checks() == ["unschedulable.selector"]
    assert scene.known.wait(5)
    scene.cluster.kube.away = False
    assert scene.checks() == ["unschedulable.selector"]


@pytest.mark.parametrize("scene", ["selector"], indirect=True)
def test_gangs_say_that_they_are_one(scene: Scene) -> None:
    job = scene.cluster.job()
    gang = {**job, "spec": {**job["spec"], "suspend": True, "completions": 4}}
    view = replace(scene.view(), job=gang, pods=(), waiting="2 of 4 fit")
    assert [each.check for each in scene.explainer.findings(UID, 1, view, QUEUED)] == ["gang.waiting"]
    scene.explainer.forget(UID)
