"""Why the machine took a pod away."""

import pytest

from explain_play import a_pod, an_event, checks, facts_of, first
from ferryml.domain.explain import Facts


@pytest.mark.parametrize(
    ("state", "check", "code"),
    [
        ("diskevict", "evicted.limit", "DiskFull"),
        ("emptydir", "evicted.empty-dir", "DiskFull"),
        ("drained", "node.drained", "PodEvicted"),
        ("low", "node.preempted", "PodPreempted"),
        ("lost", "node.tainted", "NodeLost"),
        ("silent", "node.silent", "NodeLost"),
    ],
)
def test_recorded_states(state, check, code):
    found = first(facts_of(state))
    assert (found.check, found.code) == (check, code)


def test_a_node_that_fell_silent_is_a_warning_until_it_is_given_up():
    assert first(facts_of("silent")).level == "warning"


@pytest.mark.parametrize(
    ("reason", "message", "check"),
    [
        ("Evicted", "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi.", "evicted.disk"),
        (
            "Evicted",
            "The node was low on resource: memory. Container main was using 3Gi, request is 1Gi",
            "evicted.memory",
        ),
        ("Evicted", "The node was low on resource: pids.", "evicted.pids"),
        ("Evicted", "for reasons of its own", "evicted.other"),
        ("NodeShutdown", "Pod was terminated in response to imminent node shutdown.", "node.shutdown"),
        ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 2", "node.refused"),
        ("UnexpectedAdmissionError", "Allocate failed due to no healthy devices present", "node.refused"),
    ],
)
def test_what_the_kubelet_says(reason, message, check):
    assert checks(Facts(pods=(a_pod("Failed", reason=reason, message=message),))) == [check]


def test_a_node_that_is_gone():
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": "node not found"}
    assert checks(Facts(pods=(a_pod("Failed", conditions=[condition]),))) == ["node.gone"]


def test_events_of_preemption():
    assert checks(Facts(events=(an_event("Preempted", "Preempted by pod 1 on node a"),))) == ["node.preempted"]
