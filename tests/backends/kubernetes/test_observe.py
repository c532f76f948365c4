"""What is seen of an attempt, from every state that pods and their programs can be in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ferryml.backends.kubernetes.kube import Manifest
from ferryml.backends.kubernetes.observe import View, job_seen, nothing_more_comes
from kube_play import AT, a_pod, ended, running

BEGUN = datetime(2024, 5, 1, tzinfo=UTC)
NOW = BEGUN + timedelta(seconds=5)
SOON, LATE = NOW, BEGUN + timedelta(minutes=5)
EPOCH = BEGUN.timestamp()


def a_job(completions: int = 1, *conditions: str, **spec: Any) -> Manifest:
    told = [{"type": name, "status": "True"} for name in conditions]
    return {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "j-1", "namespace": "team", "uid": "u", "labels": {}},
        "spec": {"completions": completions, **spec}, "status": {"conditions": told},
    }  # fmt: skip


def pod(rank: int = 0, deleted: bool = False, node: str = "node-1", **status: Any) -> Manifest:
    made = a_pod(a_job(), rank=rank, **status)
    made["spec"] = {"nodeName": node} if node else {}
    if deleted:
        made["metadata"]["deletionTimestamp"] = AT
    return made


def done(exit_code: int = 0, **more: Any) -> dict[str, Any]:
    state = {"phase": "done", "exit_code": exit_code, "outputs_done": True, "started_at": EPOCH, "ended_at": EPOCH + 3}
    return {**state, **more}


def waiting(reason: str, message: str = "", name: str = "main", key: str = "containerStatuses") -> dict[str, Any]:
    return {key: [{"name": name, "image": "i:1", "state": {"waiting": {"reason": reason, "message": message}}}]}


def test_nothing_is_absent() -> None:
    assert job_seen(View(), NOW).state == "absent"


def test_held_back_says_why() -> None:
    seen = job_seen(View(a_job(2, suspend=True), waiting="held back until others have a place"), NOW)
    assert (seen.state, seen.message) == ("queued", "held back until others have a place")


def test_what_the_scheduler_says_is_said() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: 2 Insufficient cpu."}
    seen = job_seen(View(a_job(), [pod(node="", conditions=[condition])]), NOW)
    assert (seen.state, seen.message) == ("queued", "0/2 nodes are available: 2 Insufficient cpu.")
    seen = job_seen(View(a_job(2), [pod(0), pod(1, node="", conditions=[condition])]), NOW)
    assert seen.message.startswith("1 of 2 pods: 0/2 nodes")


def test_staging_tells_what_is_brought() -> None:
    state = {0: {"phase": "staging", "message": "input data: 3 of 10 files"}}
    assert job_seen(View(a_job(), [pod()], state), NOW).message == "input data: 3 of 10 files"
    stage = {"initContainerStatuses": [{"name": "stage", "state": {"running": {"startedAt": AT}}}]}
    seen = job_seen(View(a_job(), [pod(**stage)]), NOW)
    assert (seen.state, seen.message) == ("staging", "bringing code, inputs and environment")


def test_running_since_its_container_began_or_since_it_said_so() -> None:
    seen = job_seen(View(a_job(), [pod(**running())]), NOW)
    assert (seen.state, seen.started_at, seen.node) == ("running", BEGUN, "node-1")
    said = {0: {"phase": "running", "started_at": EPOCH + 2}}
    assert job_seen(View(a_job(), [pod(**running())], said), NOW).started_at == BEGUN + timedelta(seconds=2)


def test_the_program_is_over_while_its_pod_still_hands_over() -> None:
    collecting = {0: {"phase": "collecting", "exit_code": 0, "started_at": EPOCH, "ended_at": EPOCH + 3}}
    seen = job_seen(View(a_job(), [pod(**running())], collecting), NOW)
    assert (seen.state, seen.exit_code, seen.outputs_done, seen.code) == ("exited", 0, False, "")


def test_a_good_end() -> None:
    seen = job_seen(View(a_job(1, "Complete"), [pod(**ended(0))], {0: done(notes=["once"])}), LATE)
    assert (seen.state, seen.exit_code, seen.outputs_done, seen.code) == ("exited", 0, True, "")
    assert seen.notes == ("once",)


def test_what_was_used_is_told_of_all_ranks() -> None:
    states = {
        0: done(usage={"cpu_usec": 1_500_000, "memory_peak_bytes": 10}),
        1: done(usage={"cpu_usec": 500_000, "memory_peak_bytes": 30}),
    }
    seen = job_seen(View(a_job(2, "Complete"), [pod(0, **ended(0)), pod(1, **ended(0))], states), LATE)
    assert seen.usage == {"cpu_seconds": 2.0, "memory_peak_bytes": 30}
    assert job_seen(View(a_job(), [pod(**ended(0))], {0: done()}), LATE).usage == {}


def test_a_users_failure_has_its_lines() -> None:
    view = View(a_job(1, "Failed"), [pod(**ended(1))], {0: done(1, error_lines=["ValueError: no"])})
    seen = job_seen(view, LATE)
    assert (seen.state, seen.exit_code, seen.error_lines, seen.machine_fault) == (
        "exited",
        1,
        ("ValueError: no",),
        False,
    )


def test_a_program_that_nobody_spoke_of_is_waited_for_a_moment() -> None:
    view = View(a_job(1, "Failed"), [pod(**ended(3))])
    seen = job_seen(view, SOON)
    assert (seen.exit_code, seen.code, nothing_more_comes(view, seen, SOON)) == (3, "", False)
    assert nothing_more_comes(view, job_seen(view, LATE), LATE)
    handed = View(a_job(1, "Failed"), [pod(**ended(3))], {0: done(3)})
    assert not nothing_more_comes(handed, job_seen(handed, LATE), LATE)
    gone = View(states={0: {"phase": "collecting", "exit_code": 143}}, ordered=True)
    assert nothing_more_comes(gone, job_seen(gone, SOON), SOON)
    good = View(a_job(1, "Complete"), [pod(**ended(0))])
    assert job_seen(good, SOON).code == ""
    assert job_seen(good, LATE).code == "UploadFailed"


def test_want_of_memory_is_named() -> None:
    view = View(a_job(), [pod(**ended(137, "OOMKilled"))], {0: done(137)})
    assert job_seen(view, NOW).code == "OutOfMemory"
    by_kubelet = View(a_job(), [pod(**ended(137, "OOMKilled"))])
    assert job_seen(by_kubelet, NOW).code == "OutOfMemory"


def test_a_kill_is_not_judged_before_the_kubelet_spoke() -> None:
    view = View(a_job(), [pod(**running())], {0: done(137)})
    assert job_seen(view, SOON).state == "running"
    assert job_seen(view, LATE).state == "exited"


def test_staging_that_failed_says_what() -> None:
    terminated = {"terminated": {"exitCode": 1, "reason": "Error", "message": "digest of input x is wrong"}}
    status = {"phase": "Failed", "initContainerStatuses": [{"name": "stage", "state": terminated}]}
    seen = job_seen(View(a_job(1, "Failed"), [pod(**status)]), NOW)
    assert (seen.state, seen.code, seen.message) == ("exited", "StagingFailed", "digest of input x is wrong")
    state = {0: {"phase": "staging", "code": "DiskFull", "message": "no room for input x"}}
    seen = job_seen(View(a_job(1, "Failed"), [pod(**status)], state), NOW)
    assert (seen.code, seen.message) == ("DiskFull", "no room for input x")
    state[0]["machine_fault"] = True
    assert job_seen(View(a_job(1, "Failed"), [pod(**status)], state), NOW).state == "lost"


def test_a_container_that_cannot_start_is_the_images_fault() -> None:
    status = ended(128, "StartError")
    status["containerStatuses"][0]["state"]["terminated"]["message"] = 'exec: "/bin/sh": no such file'
    seen = job_seen(View(a_job(), [pod(**status)]), NOW)
    assert (seen.state, seen.code) == ("exited", "PodRejected")
    assert "/bin/sh" in seen.message


@pytest.mark.parametrize("reason", ["DeletionByTaintManager", "PreemptionByScheduler", "EvictionByEvictionAPI"])
def test_a_disruption_is_the_machines_fault(reason: str) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "the cluster did it"}
    seen = job_seen(View(a_job(1, "Failed"), [pod(**ended(143, conditions=[condition]))]), NOW)
    assert (seen.state, seen.machine_fault, seen.message) == ("lost", True, f"{reason}: the cluster did it")


def test_while_a_disrupted_pod_ends_nothing_new_may_start() -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    seen = job_seen(View(a_job(), [pod(deleted=True, **running(conditions=[condition]))]), NOW)
    assert seen.live


def test_eviction_for_want_of_disk_is_the_machines_fault() -> None:
    seen = job_seen(View(a_job(), [pod(phase="Failed", reason="Evicted", message="low on disk")]), NOW)
    assert (seen.state, seen.machine_fault, seen.message) == ("lost", True, "Evicted: low on disk")


def test_a_pod_that_someone_removed_is_tried_again() -> None:
    seen = job_seen(View(a_job(), [pod(deleted=True, **ended(143))]), NOW)
    assert (seen.state, seen.machine_fault) == ("lost", True)
    assert job_seen(View(a_job(), [pod(deleted=True, **ended(143))], ordered=True), NOW).state == "exited"


def test_a_node_that_does_not_answer_takes_its_pod_along() -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    stuck = pod(deleted=True, **running(conditions=[condition]))
    assert job_seen(View(a_job(), [stuck], nodes_away=frozenset()), NOW).live
    seen = job_seen(View(a_job(), [stuck], nodes_away=frozenset({"node-1"})), NOW)
    assert (seen.state, seen.machine_fault, seen.message) == ("lost", True, "node node-1 does not answer any more")


def test_a_silent_node_alone_is_no_reason_yet() -> None:
    assert job_seen(View(a_job(), [pod(**running())], nodes_away=frozenset({"node-1"})), NOW).state == "running"


def test_what_had_ended_before_its_node_was_lost_has_ended() -> None:
    view = View(a_job(), [pod(deleted=True, **running())], {0: done(0)}, frozenset({"node-1"}))
    seen = job_seen(view, NOW)
    assert (seen.state, seen.exit_code, seen.outputs_done) == ("exited", 0, True)


def test_one_rank_fails_all_fail() -> None:
    view = View(a_job(2), [pod(0, **running()), pod(1, **ended(2))], {1: done(2, error_lines=["boom"])})
    seen = job_seen(view, NOW)
    assert (seen.state, seen.exit_code, seen.error_lines) == ("exited", 2, ("boom",))


def test_the_first_failure_counts() -> None:
    states = {0: done(1, ended_at=EPOCH + 9), 1: done(7, ended_at=EPOCH + 2)}
    view = View(a_job(2, "Failed"), [pod(0, **ended(1)), pod(1, **ended(7))], states)
    assert job_seen(view, LATE).exit_code == 7


def test_a_pod_that_someone_removed_is_no_failure_of_its_program() -> None:
    killed = {0: done(143, error_lines=["Terminated"])}
    for job in (a_job(), a_job(1, "FailureTarget"), a_job(1, "Failed")):
        assert job_seen(View(job, [pod(deleted=True, **ended(143))], killed), NOW).state == "lost"
        assert job_seen(View(job, [], killed), NOW).state == "lost"
    two = View(a_job(2, "Failed"), [pod(0, deleted=True, **ended(143)), pod(1, deleted=True, **ended(143))])
    assert job_seen(two, NOW).machine_fault


def test_what_was_ended_before_it_began_has_nothing_to_hand_over() -> None:
    never = {0: {"phase": "done", "message": "the program was never started"}}
    seen = job_seen(View(a_job(), [pod(deleted=True)], never, ordered=True), NOW)
    assert (seen.state, seen.exit_code, seen.outputs_done) == ("exited", None, True)
    assert job_seen(View(a_job(), [pod(deleted=True, phase="Failed")], never), NOW).state == "lost"


def test_pods_that_are_ended_because_another_failed_are_no_fault() -> None:
    view = View(a_job(2, "FailureTarget"), [pod(0, deleted=True, **ended(143)), pod(1, **ended(2))], {1: done(2)})
    seen = job_seen(view, LATE)
    assert (seen.state, seen.exit_code) == ("exited", 2)


def test_one_rank_lost_all_are_lost_once_none_lives() -> None:
    evicted = pod(1, phase="Failed", reason="Evicted")
    assert job_seen(View(a_job(2), [pod(0, **running()), evicted]), NOW).live
    assert job_seen(View(a_job(2), [pod(0, **ended(0)), evicted]), NOW).state == "lost"


def test_a_job_runs_when_all_run_and_ends_when_all_ended() -> None:
    assert job_seen(View(a_job(2), [pod(0, **running())]), NOW).state == "queued"
    assert job_seen(View(a_job(2), [pod(0, **running()), pod(1)]), NOW).state == "staging"
    assert job_seen(View(a_job(2), [pod(0, **running()), pod(1, **running())]), NOW).state == "running"
    assert job_seen(View(a_job(2), [pod(0, **ended(0)), pod(1, **running())], {0: done()}), NOW).state == "running"
    both = {0: done(), 1: done()}
    assert job_seen(View(a_job(2), [pod(0, **ended(0)), pod(1, **ended(0))], both), NOW).state == "exited"


def test_after_its_job_was_removed_its_last_words_count() -> None:
    assert job_seen(View(states={0: done(0)}), NOW).exit_code == 0
    assert job_seen(View(states={0: {"phase": "running", "started_at": EPOCH}}), NOW).state == "lost"
    asked = {0: {"phase": "collecting", "exit_code": 143}}
    seen = job_seen(View(states=asked, ordered=True), NOW)
    assert (seen.state, seen.exit_code, seen.outputs_done) == ("exited", 143, False)
    assert job_seen(View(states=asked), NOW).state == "lost"


def test_a_job_whose_pods_vanished() -> None:
    assert job_seen(View(a_job(1, "Failed")), NOW).state == "lost"
    seen = job_seen(View(a_job(1, "Complete")), NOW)
    assert (seen.state, seen.exit_code) == ("exited", 0)


def test_a_hopeless_image_name_fails_at_once_and_a_pull_may_still_work() -> None:
    seen = job_seen(View(a_job(), [pod(**waiting("InvalidImageName", "couldn't parse"))]), NOW)
    assert (seen.state, seen.code) == ("exited", "ImagePullFailed")
    seen = job_seen(View(a_job(), [pod(**waiting("ImagePullBackOff", "Back-off pulling"))]), NOW)
    assert (seen.state, seen.code) == ("staging", "")
    assert "i:1" in seen.message
