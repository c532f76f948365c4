"""Environments of a cluster: made once, by a Job of their own, under the grant of who asked first."""

from __future__ import annotations

import pytest

from ferryml.backends.kubernetes.kinds import JOBS
from ferryml.backends.kubernetes.kube import Manifest, labels_of
from ferryml.compile.kubernetes.names import preparation_name, preparation_uid
from ferryml.domain.errors import Unavailable
from ferryml.domain.orders import EnvironmentOrder
from kube_jobs_play import ENVIRONMENTS, PLAIN, PlayCluster
from kube_play import ended, running

KEY = "ab" * 16
SIX = EnvironmentOrder(key=KEY, image="python:3.11", pip=("six",))
READY = {"digest": "sha256:" + "0" * 64, "size": 12, "lock": "six==1.17.0", "python": "3.11.2", "notes": ["mapped"]}


def preparation(cluster: PlayCluster) -> tuple[Manifest, int]:
    job = cluster.kube.get(JOBS, ENVIRONMENTS, preparation_name(KEY))
    assert job is not None
    return job, int(labels_of(job)["ferryml.dev/attempt"])


def test_an_image_as_it_is_needs_nothing(cluster: PlayCluster) -> None:
    assert cluster.jobs.environment("plain").state == "absent"
    cluster.jobs.prepare(PLAIN, "job.w.j", "grant")
    assert cluster.jobs.environment("plain").state == "ready"
    assert cluster.kube.log == []
    assert cluster.woken


def test_it_is_made_once_and_then_known(cluster: PlayCluster) -> None:
    for uid in ("job.w.a", "job.w.b"):
        cluster.jobs.prepare(SIX, uid, "grant")
    job, attempt = preparation(cluster)
    assert cluster.door.admitted == [
        (preparation_uid(KEY), attempt, ENVIRONMENTS, f"{preparation_name(KEY)}-", "preparation")
    ]
    cluster.pod(job, **running())
    assert cluster.jobs.environment(KEY).state == "making"
    cluster.kube.pod_logs[ENVIRONMENTS, f"{preparation_name(KEY)}-0-abcde", "main"] = b"resolved six\n"
    cluster.door.environments[KEY] = READY
    cluster.door.told[preparation_uid(KEY), attempt] = {0: {"phase": "done", "exit_code": 0, "outputs_done": True}}
    cluster.pod(job, **ended(0))
    seen = cluster.jobs.environment(KEY)
    assert (seen.state, seen.lock, seen.notes) == ("ready", "six==1.17.0", ("mapped",))
    assert cluster.kube.get(JOBS, ENVIRONMENTS, preparation_name(KEY)) is None
    assert {uid for uid, _ in cluster.door.logs} == {"job.w.a", "job.w.b"}
    assert set(cluster.door.logs.values()) == {b"resolved six\ninstalled:\nsix==1.17.0\n"}
    assert cluster.jobs.environment(KEY).state == "ready"


def test_what_the_gateway_holds_already_is_not_made_again(cluster: PlayCluster) -> None:
    cluster.door.environments[KEY] = READY
    assert cluster.jobs.environment(KEY).state == "ready"
    cluster.jobs.prepare(SIX, "job.w.a", "grant")
    assert cluster.kube.log == []


def test_a_failure_says_its_lines_and_is_tried_again_only_when_asked(cluster: PlayCluster) -> None:
    cluster.jobs.prepare(SIX, "job.w.a", "grant")
    job, attempt = preparation(cluster)
    lines = ["no version of six==9 exists"]
    cluster.door.told[preparation_uid(KEY), attempt] = {0: {"phase": "done", "exit_code": 1, "error_lines": lines}}
    cluster.pod(job, **ended(1))
    seen = cluster.jobs.environment(KEY)
    assert (seen.state, seen.code, seen.message) == ("failed", "EnvironmentFailed", "no version of six==9 exists")
    assert cluster.jobs.environment(KEY).state == "failed"
    cluster.clock.passes(5)
    cluster.jobs.prepare(SIX, "job.w.b", "grant")
    assert cluster.jobs.environment(KEY).state == "making"
    assert preparation(cluster)[1] > attempt


def test_a_preparation_survives_the_agent(cluster: PlayCluster) -> None:
    cluster.jobs.prepare(SIX, "job.w.a", "grant")
    again = cluster.preparations()
    assert again.environment(KEY).state == "making"


def test_an_environment_that_was_evicted_is_made_anew(cluster: PlayCluster) -> None:
    cluster.door.environments[KEY] = READY
    assert cluster.jobs.environment(KEY).state == "ready"
    del cluster.door.environments[KEY]
    cluster.clock.passes(31)
    assert cluster.jobs.environment(KEY).state == "absent"


def test_a_machine_that_was_lost_is_not_the_environments_fault(cluster: PlayCluster) -> None:
    for _ in range(3):
        cluster.clock.passes(1)
        cluster.jobs.prepare(SIX, "job.w.a", "grant")
        cluster.pod(preparation(cluster)[0], phase="Failed", reason="Evicted", message="low on disk")
        assert cluster.jobs.environment(KEY).state == "absent"
    cluster.clock.passes(1)
    cluster.jobs.prepare(SIX, "job.w.a", "grant")
    cluster.pod(preparation(cluster)[0], phase="Failed", reason="Evicted", message="low on disk")
    seen = cluster.jobs.environment(KEY)
    assert (seen.state, seen.message) == ("failed", "Evicted: low on disk")


def test_a_gateway_that_is_away_is_waited_for_in_words(cluster: PlayCluster) -> None:
    def away(key: str) -> None:
        raise Unavailable("Unavailable", "it did not answer")

    cluster.door.prepared = away  # type: ignore[method-assign]
    seen = cluster.jobs.environment(KEY)
    assert (seen.state, seen.progress) == ("making", "waiting for the site's gateway: it did not answer")
    with pytest.raises(Unavailable):
        cluster.jobs.environments.archive(KEY)
