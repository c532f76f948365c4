"""Events outlive the cluster's own memory of them."""

from __future__ import annotations

from ferryml.backends.kubernetes.events import LOG, EventLog, lines_of
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import JobStatus
from kube_jobs_play import PlayCluster
from kube_play import ended


def an_event(name: str, reason: str, at: str, count: int = 1, **more: object) -> dict[str, object]:
    return {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.{reason}", "namespace": "team"},
        "involvedObject": {"kind": "Pod", "name": name}, "type": "Warning", "reason": reason,
        "message": "because\n of it", "count": count, "lastTimestamp": at, **more,
    }  # fmt: skip


def test_a_line_says_when_what_and_how_often() -> None:
    events = [an_event("p", "BackOff", "2024-05-01T00:00:09Z", 3), an_event("p", "Failed", "2024-05-01T00:00:01Z")]
    assert lines_of(events) == (
        "2024-05-01T00:00:01Z Warning Failed Pod/p: because of it\n"
        "2024-05-01T00:00:09Z Warning BackOff Pod/p (x3): because of it\n"
    )
    bare = {"metadata": {}, "eventTime": None, "reason": "R", "message": None}
    assert lines_of([bare]) == "-  R /: \n"


def test_only_what_did_not_end_well_is_asked_about(cluster: PlayCluster) -> None:
    events = EventLog(cluster.kube, cluster.door)
    cluster.jobs.events = events
    events.start()
    cluster.launch()
    pod = cluster.pod(cluster.job(), **ended(1))
    name = pod["metadata"]["name"]
    cluster.kube.write(an_event(name, "Failed", "2024-05-01T00:00:01Z"))
    cluster.door.told["job.w.j", 1] = {0: {"phase": "done", "exit_code": 1, "outputs_done": True}}
    for _ in range(3):
        cluster.seen()
    cluster.sees(lambda: ("job.w.j", LOG) in cluster.door.logs)
    assert cluster.door.logs["job.w.j", LOG].count(b"Warning Failed") == 1
    cluster.launch(uid="job.w.k")
    cluster.door.told["job.w.k", 1] = {0: {"phase": "done", "exit_code": 0, "outputs_done": True}}
    assert cluster.seen("job.w.k").exit_code == 0
    events.stop()
    assert ("job.w.k", LOG) not in cluster.door.logs


def test_an_end_that_was_told_is_not_told_again_by_a_new_agent(cluster: PlayCluster) -> None:
    cluster.jobs.events = EventLog(cluster.kube, cluster.door)
    cluster.launch()
    cluster.pod(cluster.job(), **ended(1))
    told = StoredStatus(uid="job.w.j", generation=1, version=1, status=JobStatus(phase="Failed"))
    cluster.ledger.put_statuses([told])
    cluster.clock.passes(60)
    assert cluster.seen().state == "exited"
    assert cluster.door.closed == []
    assert cluster.jobs._told == set()
