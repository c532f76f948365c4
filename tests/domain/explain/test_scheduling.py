"""Why no node takes a pod, on states that a real scheduler wrote."""

import pytest

from explain_play import a_pod, an_event, checks, facts_of, first, recorded
from ferryml.domain.explain import Facts, explain


@pytest.mark.parametrize(
    ("state", "check", "code", "cause"),
    [
        ("cpu", "type.fits-no-node", "InvalidInstanceType", "asks for 64 CPUs, and the largest node has 2 CPUs"),
        ("memory", "type.fits-no-node", "InvalidInstanceType", "asks for 900 GiB of memory"),
        ("disk", "type.fits-no-node", "InvalidInstanceType", "asks for 10 TiB of ephemeral storage"),
        ("gpu", "unschedulable.gpu", "GpuPluginMissing", "no node offers nvidia.com/gpu"),
        ("fuse", "unschedulable.extended", "PodUnschedulable", "no node offers github.com/fuse"),
        ("selector", "unschedulable.selector", "PodUnschedulable", "no node has the labels that the pod selects"),
        ("affinity", "unschedulable.affinity", "PodUnschedulable", "do not match the node affinity"),
        ("podaffinity", "unschedulable.pod-affinity", "PodUnschedulable", "none of the pods"),
        ("existing-anti-affinity", "unschedulable.anti-affinity", "PodUnschedulable", "must not stand beside"),
        ("spread", "unschedulable.spread", "PodUnschedulable", "topology spread"),
        ("taint", "unschedulable.taint", "PodUnschedulable", "explain=only:NoSchedule"),
        ("cordoned", "unschedulable.cordoned", "PodUnschedulable", "cordoned"),
        ("full2", "unschedulable.pods", "PodUnschedulable", "as many pods as they may"),
        ("port2", "unschedulable.port", "PodUnschedulable", "host port"),
        ("busy2", "unschedulable.cpu", "PodUnschedulable", "asks for 1.9 CPUs, the largest node has 2 CPUs"),
        ("high", "unschedulable.cpu", "PodUnschedulable", "too little CPU left"),
        ("pvcmissing", "volume.claim-missing", "VolumeNotReady", "the volume claim nowhere does not exist"),
        ("pvcunbound", "claim.no-class", "VolumeNotReady", "names no storage class"),
        ("pvcclass", "claim.class-missing", "VolumeNotReady", "no storage class fast"),
        ("gated", "gate.closed", "QueueWaiting", "scheduling gate"),
        ("noscheduler", "scheduler.silent", "PodUnschedulable", "no scheduler named volcano"),
    ],
)
def test_recorded_states(state, check, code, cause):
    found = first(facts_of(state))
    assert (found.check, found.code) == (check, code)
    assert cause in found.cause


def test_what_time_mends_is_a_warning_and_what_it_does_not_is_none():
    assert first(facts_of("busy2")).level == "warning"
    assert first(facts_of("cpu")).level == "failed"


def test_nodes_that_came_furthest_speak_first():
    # one node is only full; the others are tainted or closed, which matters less
    assert checks(facts_of("busy2"))[0] == "unschedulable.cpu"
    assert "unschedulable.taint" in checks(facts_of("busy2"))


def test_a_cluster_that_grows_may_hold_it_later():
    found = first(facts_of("cpu", autoscaled=True))
    assert found.check == "unschedulable.cpu"


@pytest.mark.parametrize(
    ("reason", "check"),
    [
        ("1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }", "unschedulable.not-ready"),
        ("1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }", "unschedulable.pressure"),
        ("1 node(s) had untolerated taint {dedicated: gpu}", "unschedulable.taint"),
        ("1 node(s) had volume node affinity conflict", "unschedulable.volume-zone"),
        ("1 node(s) exceed max volume count", "unschedulable.volume-count"),
        ("1 cannot allocate all claims", "unschedulable.device-claim"),
        ("1 node(s) do what nobody knows", "unschedulable.other"),
    ],
)
def test_words_of_other_schedulers(reason, check):
    text = f"0/1 nodes are available: {reason}. preemption: 0/1 nodes are available: 1 No preemption victims found."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    assert checks(Facts(pods=(a_pod(conditions=[condition]),)))[0] == check


@pytest.mark.parametrize(
    ("event", "check"),
    [
        (an_event("FailedScheduling", "no nodes available to schedule pods"), "unschedulable.no-nodes"),
        (an_event("TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2}]"), "autoscaler.scaling"),
        (
            an_event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
            "autoscaler.refuses",
        ),
    ],
)
def test_events(event, check):
    assert checks(Facts(events=(event,))) == [check]


def test_the_inventory_of_a_heartbeat_serves_as_nodes():
    node = {"name": "n1", "ready": True, "cpu_millis": 2000, "memory_bytes": 2**33, "free": {"cpu_millis": 100}}
    found = first(facts_of("busy2", nodes=(node,)))
    assert "100m CPUs are free" in found.cause


def test_a_pod_with_a_place_is_not_told_of_old_events():
    state = recorded()["states"]["exit3"]
    assert any(event["reason"] == "FailedScheduling" for event in state["events"])
    assert [finding.check for finding in explain(facts_of("exit3"))] == ["program.failed"]
