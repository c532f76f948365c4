"""Attempts in a cluster: each launched once, ended when asked, removed when nobody needs it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from ferryml.backends.kubernetes.jobs import NoExplainer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, JOBS, ML_JOBS, NETWORK_POLICIES, PODS, SERVICES, Kind
from ferryml.backends.kubernetes.kube import meta, name_of
from ferryml.backends.kubernetes.observe import View
from ferryml.compile.kubernetes.names import attempt_name, resource_name
from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.seen import JobSeen
from ferryml.domain.statuses import Finding
from kube_jobs_play import PLAIN, PlayCluster
from kube_play import a_node, ended, running
from site_play import a_job, a_wish

NAME = attempt_name("job.w.j", 1)
FOUND = Finding(code="ImagePullFailed", cause="there is no such image")


class Explainer(NoExplainer):
    """Always says the same."""

    def findings(self, uid: str, attempt: int, view: View, seen: JobSeen) -> tuple[Finding, ...]:
        return (FOUND,)


def test_an_attempt_is_a_job_that_goes_with_its_order(cluster: PlayCluster) -> None:
    cluster.launch()
    job, order = cluster.job(), cluster.kube.get(ML_JOBS, "team", resource_name("job.w.j"))
    assert order is not None
    assert name_of(job) == NAME
    assert [owner["uid"] for owner in meta(job)["ownerReferences"]] == [meta(order)["uid"]]
    assert cluster.kube.get(CONFIG_MAPS, "team", NAME) is not None
    assert cluster.jobs.list() == [("job.w.j", 1)]
    assert cluster.seen().state == "queued"


def test_a_launch_that_is_repeated_changes_nothing(cluster: PlayCluster) -> None:
    cluster.launch()
    writes = len(cluster.kube.log)
    cluster.launch()
    assert len(cluster.kube.log) == writes


def test_an_attempt_is_seen_from_pod_to_end(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    cluster.pod(job)
    assert cluster.seen().state == "staging"
    cluster.pod(job, **running())
    assert cluster.seen().state == "running"
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 0, "outputs_done": True}}
    assert (cluster.seen().state, cluster.seen().outputs_done) == ("exited", True)


def test_a_later_attempt_removes_the_earlier_one(cluster: PlayCluster) -> None:
    cluster.launch()
    cluster.launch(attempt=2)
    assert [name_of(body) for body in cluster.kube.list(JOBS, "team").items] == [attempt_name("job.w.j", 2)]


def test_a_kill_lets_pods_end_and_their_last_words_count(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    pod = cluster.pod(job, **running())
    cluster.jobs.kill("job.w.j", 1, 10)
    cluster.jobs.kill("job.w.j", 1, 10)
    cluster.settle()
    assert cluster.seen().live
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 143, "outputs_done": True}}
    cluster.kube.finish(PODS, "team", name_of(pod))
    cluster.settle()
    cluster.sees(lambda: not cluster.watched.pods.all())
    seen = cluster.seen()
    assert (seen.state, seen.exit_code, seen.outputs_done) == ("exited", 143, True)


def test_what_can_hand_over_nothing_more_is_closed_once(cluster: PlayCluster) -> None:
    cluster.launch()
    cluster.pod(cluster.job(), **ended(3))
    assert (cluster.seen().state, cluster.door.closed) == ("exited", [])
    cluster.clock.passes(30)
    for _ in range(2):
        assert cluster.seen().exit_code == 3
    assert cluster.door.closed == [("job.w.j", 1, 3)]


@pytest.mark.parametrize(
    ("answer", "asked"), [(NotFound("NotFound", "never admitted"), 1), (Unavailable("Unavailable", "away"), 2)]
)
def test_a_gateway_that_cannot_close_an_attempt_does_not_hide_it(
    cluster: PlayCluster, monkeypatch: pytest.MonkeyPatch, answer: FerryError, asked: int
) -> None:
    calls: list[str] = []

    def refuse(uid: str, attempt: int, exit_code: int) -> None:
        calls.append(uid)
        raise answer

    monkeypatch.setattr(cluster.door, "close_attempt", refuse)
    cluster.launch()
    cluster.pod(cluster.job(), **ended(3))
    cluster.seen()
    cluster.clock.passes(30)
    for _ in range(2):
        assert cluster.seen().exit_code == 3
    assert len(calls) == asked


def test_clean_leaves_a_finished_job_for_people_to_look_at(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    cluster.pod(job, **ended(0))
    cluster.write({**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    cluster.jobs.clean("job.w.j")
    assert cluster.job()["spec"]["ttlSecondsAfterFinished"] == 3600
    assert cluster.kube.get(CONFIG_MAPS, "team", NAME) is None
    assert cluster.jobs.list() == []


def test_clean_removes_what_is_not_finished(cluster: PlayCluster) -> None:
    cluster.launch(a_job(namespace="team", environment=PLAIN, instance_count=2))
    assert cluster.kube.get(SERVICES, "team", NAME) is not None
    cluster.jobs.clean("job.w.j")
    assert cluster.kube.list(JOBS, "team").items == ()
    assert cluster.kube.list(SERVICES, "team").items == ()


def test_a_missing_namespace_is_refused_with_the_fix(cluster: PlayCluster) -> None:
    order = a_job(namespace="nowhere", environment=PLAIN)
    with pytest.raises(Refused) as refused:
        cluster.launch(order)
    assert refused.value.code == "NamespaceMissing"
    assert "kubectl create namespace nowhere" in refused.value.hint
    seen = cluster.seen()
    assert (seen.state, seen.code) == ("exited", "NamespaceMissing")


def test_a_quota_is_waited_for_and_a_policy_is_not(cluster: PlayCluster) -> None:
    full = "jobs.batch is forbidden: exceeded quota: q"
    cluster.kube.refusals["create", "Job"] = Forbidden("ClusterForbidden", full, details={"status": 403})
    with pytest.raises(Unavailable) as waits:
        cluster.launch()
    assert waits.value.code == "QuotaExceeded"
    denied = "admission webhook denied the request: no root"
    cluster.kube.refusals["create", "Job"] = Forbidden("ClusterForbidden", denied, details={"status": 403})
    with pytest.raises(Refused, match="no root"):
        cluster.launch()


def test_an_unknown_instance_type_is_refused(cluster: PlayCluster) -> None:
    with pytest.raises(Refused) as refused:
        cluster.launch(a_job(namespace="team", environment=PLAIN, instance_type="gpu-xl"))
    assert refused.value.code == "InvalidInstanceType"


def test_an_image_that_never_comes_is_the_end_of_it(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    waiting = [{"name": "main", "image": "i", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "404"}}}]
    cluster.pod(job, containerStatuses=waiting)
    cluster.jobs.explainer = Explainer()
    assert cluster.seen().state == "staging"
    cluster.clock.passes(61)
    assert (cluster.seen().state, cluster.seen().code) == ("exited", "ImagePullFailed")
    cluster.jobs.tend()
    assert "deletionTimestamp" in meta(cluster.job())
    cluster.settle()
    assert cluster.seen().code == "ImagePullFailed"
    assert cluster.seen().findings == (FOUND,)


def test_what_is_lost_in_part_is_ended_as_a_whole(cluster: PlayCluster) -> None:
    cluster.launch(a_job(namespace="team", environment=PLAIN, instance_count=2))
    job = cluster.write({**cluster.job(), "spec": {"suspend": False}})
    cluster.pod(job, 0, **running())
    cluster.pod(job, 1, phase="Failed", reason="Evicted", message="low on disk")
    assert cluster.seen().live
    cluster.jobs.tend()
    assert "deletionTimestamp" in meta(cluster.job())
    cluster.settle()
    assert cluster.seen().live
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 143, "outputs_done": True}}
    for pod in cluster.kube.list(PODS, "team").items:
        cluster.kube.finish(PODS, "team", name_of(pod))
    cluster.sees(lambda: not cluster.watched.pods.all())
    assert (cluster.seen().state, cluster.seen().machine_fault) == ("lost", True)
    assert "low on disk" in cluster.seen().message


def test_a_pod_that_someone_removes_is_not_ended_by_us_too(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    pod = cluster.pod(job, **running())
    gone = {**pod, "metadata": {**meta(pod), "deletionTimestamp": "2024-05-01T00:00:00Z"}}
    cluster.kube.write(gone)
    cluster.sees(lambda: "deletionTimestamp" in meta(cluster.watched.pods.all()[0]))
    assert cluster.seen().live
    cluster.jobs.tend()
    assert "deletionTimestamp" not in meta(cluster.job())


def test_a_node_that_is_gone_loses_its_pods(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    pod = cluster.pod(job, **running())
    disruption = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    gone = {**pod, "metadata": {**meta(pod), "deletionTimestamp": "2024-05-01T00:00:00Z"}}
    cluster.kube.write({**gone, "status": running(conditions=[disruption])})
    cluster.kube.write(a_node(ready=False))
    cluster.sees(lambda: cluster.seen().state == "lost")
    assert cluster.seen().machine_fault


def test_the_namespace_is_closed_before_its_first_pod_and_again_when_opened(cluster: PlayCluster) -> None:
    cluster.launch()
    assert cluster.kube.get(NETWORK_POLICIES, "team", "ferry-jobs") is not None
    cluster.kube.delete(NETWORK_POLICIES, "team", "ferry-jobs")
    cluster.clock.passes(601)
    cluster.launch(uid="job.w.k")
    assert cluster.kube.get(NETWORK_POLICIES, "team", "ferry-jobs") is not None


def test_what_keeps_pods_from_being_made_is_said(cluster: PlayCluster) -> None:
    cluster.jobs.explainer = Explainer()
    cluster.launch()
    assert (cluster.seen().state, cluster.seen().message) == ("queued", "there is no such image")


def test_a_job_that_someone_removed_is_lost(cluster: PlayCluster) -> None:
    cluster.launch()
    job = cluster.job()
    cluster.pod(job, **running())
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 143, "outputs_done": True}}
    cluster.kube.delete(JOBS, "team", NAME)
    cluster.settle()
    cluster.sees(lambda: not cluster.watched.pods.all())
    assert (cluster.seen().state, cluster.seen().machine_fault) == ("lost", True)


def test_a_program_that_ended_leaves_its_job_even_before_the_controller_says_so(cluster: PlayCluster) -> None:
    cluster.launch()
    cluster.pod(cluster.job(), **running())
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 0, "outputs_done": True}}
    cluster.jobs.clean("job.w.j")
    assert cluster.job()["spec"]["ttlSecondsAfterFinished"] == 3600


def test_without_rights_there_nothing_is_lost_and_nothing_begun(
    cluster: PlayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.launch()
    cluster.pod(cluster.job(), **running())
    rights = {"pods": True}
    monkeypatch.setattr("ferryml.backends.kubernetes.informer.MOST_PAUSE_S", 0.02)

    def checked(real, kind, *more):  # type: ignore[no-untyped-def]
        if kind is PODS and not rights["pods"]:
            raise Forbidden("ClusterForbidden", "no binding")
        return real(kind, *more)

    for name in ("list", "watch"):
        monkeypatch.setattr(cluster.kube, name, partial(checked, getattr(cluster.kube, name)))
    rights["pods"] = False
    cluster.kube.cut_watches()
    cluster.sees(lambda: cluster.watched.is_blind("team"))
    seen = cluster.seen()
    assert (seen.state, seen.live) == ("unknown", True)
    assert "namespace team" in seen.message
    rights["pods"] = True
    cluster.sees(lambda: not cluster.watched.is_blind("team"))
    assert cluster.seen().state == "running"


def test_launched_at_once_they_ask_once_for_what_they_share(cluster: PlayCluster) -> None:
    names = [f"j{number}" for number in range(6)]
    orders = {name: a_job(name, namespace="team", environment=PLAIN) for name in names}
    wishes = [a_wish(order, uid=f"job.w.{name}", cursor=n + 1) for n, (name, order) in enumerate(orders.items())]
    cluster.ledger.take(wishes, "e", len(names))
    meet, listed = threading.Barrier(len(names), timeout=5), list[str]()
    ask = cluster.kube.list

    def watched_list(kind: Kind, *rest: Any, **more: Any) -> Any:
        listed.append(kind.plural)
        return ask(kind, *rest, **more)

    cluster.kube.list = watched_list  # type: ignore[method-assign]

    def launch(name: str) -> None:
        meet.wait()
        cluster.launch(orders[name], uid=f"job.w.{name}")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(launch, names))
    assert listed.count("persistentvolumeclaims") == 1
    made = [(verb, kind) for verb, kind, _ in cluster.kube.log]
    assert made.count(("create", "Job")) == len(names)
    policies = [name for _, kind, name in cluster.kube.log if kind == "NetworkPolicy"]
    assert policies
    assert len(policies) == len(set(policies))
    assert cluster.jobs.list() == [(f"job.w.{name}", 1) for name in names]
