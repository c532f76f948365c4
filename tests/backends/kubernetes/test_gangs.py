"""Gangs start one at a time, whole, and are called back when they get stuck."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ferryml.backends.kubernetes.kinds import JOBS
from ferryml.backends.kubernetes.kube import Manifest
from ferryml.compile.kubernetes.names import attempt_name
from kube_jobs_play import PLAIN, PlayCluster
from kube_play import a_node, a_pod, running
from site_play import a_job

UNPLACED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}


@pytest.fixture
def cluster() -> Iterator[PlayCluster]:
    made = PlayCluster(gang_timeout_s=40)
    yield made
    made.close()


def gang(cluster: PlayCluster, name: str) -> None:
    cluster.launch(a_job(name, namespace="team", environment=PLAIN, instance_count=2), uid=f"job.w.{name}")
    cluster.settle()


def job(cluster: PlayCluster, name: str) -> Manifest:
    found = cluster.kube.get(JOBS, "team", attempt_name(f"job.w.{name}", 1))
    assert found is not None
    return found


def suspended(cluster: PlayCluster, name: str) -> bool:
    return bool(job(cluster, name)["spec"]["suspend"])


def place(cluster: PlayCluster, name: str, rank: int, **status: Any) -> None:
    cluster.pod(job(cluster, name), rank, **status)


def unplaced(cluster: PlayCluster, name: str, rank: int) -> None:
    body = a_pod(job(cluster, name), rank=rank, **UNPLACED)
    body["spec"] = {}
    made = cluster.kube.write(body)
    cluster.sees(lambda: cluster.watched.pods.get("team", made["metadata"]["name"]) is not None)


def test_one_gang_at_a_time(cluster: PlayCluster) -> None:
    gang(cluster, "a")
    gang(cluster, "b")
    cluster.jobs.tend()
    assert not suspended(cluster, "a")
    assert suspended(cluster, "b")
    assert "held back until all pods of a-" in cluster.seen("job.w.b").message
    place(cluster, "a", 0)
    cluster.jobs.tend()
    assert suspended(cluster, "b")
    place(cluster, "a", 1)
    cluster.jobs.tend()
    assert not suspended(cluster, "b")


def test_a_gang_that_gets_stuck_is_called_back_and_lets_others_pass(cluster: PlayCluster) -> None:
    gang(cluster, "a")
    gang(cluster, "b")
    cluster.jobs.tend()
    place(cluster, "a", 0)
    unplaced(cluster, "a", 1)
    cluster.clock.passes(39)
    cluster.jobs.tend()
    assert not suspended(cluster, "a")
    cluster.clock.passes(2)
    cluster.jobs.tend()
    assert suspended(cluster, "a")
    cluster.settle()
    cluster.jobs.tend()
    assert not suspended(cluster, "b")
    assert "not all 2 pods found a place within 40 s" in cluster.jobs.gangs.waiting(job(cluster, "a"))


def test_after_its_pause_it_is_tried_again(cluster: PlayCluster) -> None:
    gang(cluster, "a")
    cluster.jobs.tend()
    cluster.clock.passes(41)
    cluster.jobs.tend()
    assert suspended(cluster, "a")
    cluster.settle()
    cluster.clock.passes(10)
    cluster.jobs.tend()
    assert suspended(cluster, "a")
    cluster.clock.passes(15)
    cluster.jobs.tend()
    assert not suspended(cluster, "a")


def test_a_gang_that_works_is_never_called_back(cluster: PlayCluster) -> None:
    gang(cluster, "a")
    cluster.jobs.tend()
    place(cluster, "a", 0, **running())
    unplaced(cluster, "a", 1)
    cluster.clock.passes(500)
    cluster.jobs.tend()
    assert not suspended(cluster, "a")


def test_a_gang_without_room_waits_and_says_so(cluster: PlayCluster) -> None:
    cluster.kube.write(a_node(cpu="200m", memory="64Gi"))
    cluster.sees(lambda: cluster.watched.nodes.all()[0]["status"]["allocatable"]["cpu"] == "200m")
    gang(cluster, "a")
    cluster.jobs.tend()
    assert suspended(cluster, "a")
    assert "2 pods" in cluster.seen("job.w.a").message
    cluster.kube.write(a_node("node-2", cpu="16", memory="64Gi"))
    cluster.sees(lambda: len(cluster.watched.nodes.all()) == 2)
    cluster.jobs.tend()
    assert not suspended(cluster, "a")


def test_a_job_of_one_pod_is_no_gang(cluster: PlayCluster) -> None:
    cluster.launch()
    cluster.settle()
    writes = len(cluster.kube.log)
    cluster.jobs.tend()
    assert len(cluster.kube.log) == writes
