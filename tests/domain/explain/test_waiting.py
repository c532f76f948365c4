"""Why work is held back on purpose."""

import pytest

from explain_play import a_pod, checks, facts_of, first
from ferryml.domain.explain import Facts


def test_a_suspended_job():
    assert first(facts_of("job-suspended")).check == "job.suspended"


@pytest.mark.parametrize("state", ["job-late", "deadline"])
def test_deadlines(state):
    assert first(facts_of(state)).code == "TimedOut"


def test_gangs():
    assert first(Facts(gang_waiting="2 of 4 fit", instance_count=4)).code == "GangWaiting"
    placed = a_pod(name="a", conditions=[{"type": "PodScheduled", "status": "True"}])
    homeless = a_pod(name="b", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}])
    assert checks(Facts(pods=(placed, homeless), instance_count=2)) == ["gang.incomplete"]


@pytest.mark.parametrize(
    ("message", "check"),
    [
        ("LocalQueue team doesn't exist", "queue.missing"),
        ("ClusterQueue team is inactive", "queue.inactive"),
        (
            "couldn't assign flavors to pod set main: insufficient quota for cpu in flavor default, "
            "request > maximum capacity (9 > 8)",
            "queue.never",
        ),
        ("couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default", "queue.full"),
    ],
)
def test_kueue(message, check):
    condition = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": message}
    workload = {"kind": "Workload", "metadata": {"name": "w"}, "status": {"conditions": [condition]}}
    job = {"metadata": {"name": "j"}, "spec": {"suspend": True}}
    assert checks(Facts(workload=workload, job=job))[0] == check
