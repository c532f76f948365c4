"""What the agent keeps an eye on, and how little of it."""

from __future__ import annotations

import pytest

from ferryml.backends.kubernetes.watched import Watched, only_meta, slim_job, slim_node, slim_pod, word_of, words_of
from ferryml.domain.errors import Unavailable
from kube_jobs_play import PlayCluster
from kube_play import PlayKube, a_node, a_pod, running

BIG = {"managedFields": [1] * 100, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 1000}}


def test_objects_are_found_by_uid_and_attempt(cluster: PlayCluster) -> None:
    cluster.launch()
    cluster.settle()
    (job,) = cluster.watched.jobs.select(word_of("job.w.j", 1))
    assert word_of("job.w.j", 1) in words_of(job)
    assert cluster.watched.jobs.select(word_of("job.w.j", 2)) == []


def test_little_is_kept() -> None:
    pod = a_pod({"metadata": {"name": "j", "namespace": "n", "uid": "u", "labels": {}}}, **running())
    pod["metadata"] |= BIG
    pod["spec"]["containers"] = [{"name": "main"}]
    kept = slim_pod(pod)
    assert kept["spec"] == {"nodeName": "node-1"}
    assert "managedFields" not in kept["metadata"]
    assert "annotations" not in kept["metadata"]
    assert slim_job({"metadata": {}, "spec": {"template": {}, "suspend": True}})["spec"] == {"suspend": True}
    assert slim_node({"metadata": {}, "status": {"images": [1], "conditions": []}})["status"] == {"conditions": []}
    assert only_meta({"metadata": {"name": "a"}, "spec": {}}) == {"metadata": {"name": "a"}}


def test_nodes_that_do_not_answer_are_away(cluster: PlayCluster) -> None:
    assert cluster.watched.nodes_away() == frozenset()
    cluster.kube.write(a_node("node-2", ready=False))
    cluster.sees(lambda: cluster.watched.nodes_away() == frozenset({"node-2"}))


def test_changes_wake(cluster: PlayCluster) -> None:
    before = cluster.woken
    cluster.launch()
    cluster.sees(lambda: cluster.woken > before)


def test_a_cluster_that_does_not_tell_is_said() -> None:
    kube = PlayKube(away=True)
    watched = Watched(kube, (), lambda uid: None, lambda body, gone: None)
    with pytest.raises(Unavailable) as raised:
        watched.start(0.05)
    assert raised.value.code == "ClusterUnreachable"
