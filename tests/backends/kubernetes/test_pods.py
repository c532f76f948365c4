"""One pod's words; how ranks come together is in test_observe.py."""

from __future__ import annotations

from datetime import UTC, datetime

from ferryml.backends.kubernetes.pods import from_state, is_lost_with_its_node, pod_seen, rank_of
from kube_play import AT, a_pod, ended, running

JOB = {"metadata": {"name": "j-1", "namespace": "team", "uid": "u", "labels": {}}, "spec": {"completions": 1}}


def test_the_rank_is_its_index() -> None:
    assert rank_of(a_pod(JOB, rank=3)) == 3
    bare = a_pod(JOB)
    bare["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": "x"}
    assert rank_of(bare) == 0


def test_the_runners_word_comes_before_the_kubelets() -> None:
    seen = pod_seen(a_pod(JOB, **ended(0)), {"phase": "done", "exit_code": 4, "outputs_done": True}, False)
    assert (seen.step, seen.exit_code, seen.outputs_done, seen.silent) == ("ended", 4, True, False)


def test_a_pod_that_ended_without_handing_over_is_silent() -> None:
    seen = pod_seen(a_pod(JOB, **ended(0)), {"phase": "collecting", "exit_code": 0}, False)
    assert (seen.outputs_done, seen.silent) == (False, True)


def test_a_collector_that_was_too_big_says_which_knob() -> None:
    terminated = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = {"phase": "Failed", "initContainerStatuses": [{"name": "stage", "state": terminated}]}
    seen = pod_seen(a_pod(JOB, **status), {}, False)
    assert "FERRY_CLUSTER_STAGE_MEMORY" in seen.message


def test_a_missing_secret_is_a_trouble() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}
    seen = pod_seen(a_pod(JOB, containerStatuses=[{"name": "main", "image": "i", "state": waiting}]), {}, False)
    assert (seen.step, seen.trouble) == ("staging", "PodRejected")
    assert 'secret "s" not found' in seen.message


def test_of_a_pod_that_is_gone_only_an_end_counts() -> None:
    assert from_state(0, {"phase": "running"}, True).step == "lost"
    assert from_state(0, {"phase": "done", "exit_code": 0}, False).exit_code == 0


def test_a_kill_that_nobody_of_ours_ordered_is_the_machines() -> None:
    killed = {"phase": "done", "exit_code": 143}
    assert from_state(0, killed, False).step == "lost"
    assert from_state(0, killed, True).exit_code == 143


def test_a_program_that_ended_before_its_pod_was_removed_has_its_own_end() -> None:
    pod = a_pod(JOB, **running())
    pod["metadata"] |= {"deletionTimestamp": "2024-05-01T00:01:00Z", "deletionGracePeriodSeconds": 30}
    begun = datetime(2024, 5, 1, 0, 0, 30, tzinfo=UTC).timestamp()
    said = {"phase": "done", "exit_code": 1}
    assert pod_seen(pod, {**said, "ended_at": begun - 10}, False).exit_code == 1
    assert pod_seen(pod, {**said, "ended_at": begun + 1}, False).step == "lost"
    assert pod_seen(pod, {**said, "exit_code": 0, "ended_at": begun + 1}, False).exit_code == 0
    assert pod_seen(pod, {**said, "ended_at": begun + 1}, True).exit_code == 1
    pod["metadata"] |= {"deletionTimestamp": "2024-05-01T00:00:45Z", "deletionGracePeriodSeconds": 0}
    assert pod_seen(pod, {**said, "ended_at": begun + 1}, False).step == "lost"


def test_a_node_takes_along_only_what_is_being_removed() -> None:
    away, pod = frozenset({"node-1"}), a_pod(JOB, **running())
    assert not is_lost_with_its_node(pod, away)
    pod["metadata"]["deletionTimestamp"] = AT
    assert is_lost_with_its_node(pod, away)
    assert not is_lost_with_its_node(pod, frozenset())
