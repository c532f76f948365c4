"""What happens to the pods of a job on a real cluster, and what is left of it."""

from __future__ import annotations

import json
from typing import Any

from cluster_play import World
from kubebox.cluster import Cluster
from system_play import until

TWO = {"resources": {"instance_count": 2}, "distribution": {"type": "pytorch", "process_count_per_instance": 1}}
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}


def ours(cluster: Cluster, kind: str, namespace: str, name: str) -> list[dict[str, Any]]:
    """Objects of a job, by its name."""
    said = cluster.kubectl("get", kind, "-n", namespace, "-l", "app.kubernetes.io/managed-by=ferry", "-o", "json")
    every = json.loads(said)["items"]
    return [one for one in every if one["metadata"].get("annotations", {}).get("ferryml.dev/name") == name]


def test_pods_of_a_group_start_together_and_each_keeps_its_log(joined: World) -> None:
    find = "import os, socket; socket.gethostbyname(os.environ['MASTER_ADDR'])"
    joined.submit("group", f'echo rank $RANK of $WORLD_SIZE; python -c "{find}"', "team-a", **TWO)
    joined.completes("group")
    logs = [joined.log("group"), joined.log("group", "user_logs/std_log_process_1.txt")]
    assert [text.splitlines()[0] for text in logs] == ["rank 0 of 2", "rank 1 of 2"]


def test_one_pods_failure_ends_the_group(joined: World) -> None:
    joined.submit("half-gone", "test $RANK = 0 && sleep 1000; echo no such file >&2; exit 3", "team-a", **TWO)
    job = joined.settles("half-gone")
    assert (job["status"], job["ferry"]["exit_code"], job["ferry"]["attempt"]) == ("Failed", 3, 1)
    assert "no such file" in str(job["ferry"]["error_lines"])


def test_a_pod_that_someone_removes_is_tried_again_with_its_outputs(joined: World, onprem: Cluster) -> None:
    joined.submit("removed", "test -e outputs/seen && exit 0; echo 1 > outputs/seen; echo begun; sleep 1000", "team-a")
    until(lambda: "begun" in joined.log("removed"), 60, joined.tail)
    (pod,) = ours(onprem, "pods", "team-a", "removed")
    onprem.kubectl("delete", "pod", "-n", "team-a", pod["metadata"]["name"], "--wait=false")
    assert joined.completes("removed")["ferry"]["attempt"] == 2


def test_a_quota_is_waited_for_and_said(joined: World, onprem: Cluster) -> None:
    onprem.apply(QUOTA, namespace="team-b")
    try:
        joined.submit("waits-for-quota", "echo at last", "team-b")
        until(lambda: "quota" in str(joined.job("waits-for-quota")["ferry"]["reason"]), 60, joined.tail)
        assert joined.job("waits-for-quota")["status"] == "Queued"
    finally:
        onprem.kubectl("delete", "resourcequota", "none", "-n", "team-b")
    # the Job controller itself tries again after a pause that doubles
    joined.completes("waits-for-quota", within_s=180)


def test_of_a_finished_job_only_what_people_look_at_stays(joined: World, onprem: Cluster) -> None:
    joined.submit("finished", "echo done", "team-a")
    joined.completes("finished")
    until(lambda: ours(onprem, "configmaps", "team-a", "finished") == [], 30, joined.tail)
    (job,) = ours(onprem, "jobs", "team-a", "finished")
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    (order,) = ours(onprem, "mljobs", "team-a", "finished")
    assert order["status"]["phase"] == "Completed"
    assert "finalizers" not in order["metadata"]


def test_what_someone_removes_of_ferrys_own_comes_back(joined: World, onprem: Cluster) -> None:
    joined.submit("order-removed", "echo begun; sleep 20; echo ended", "team-a")
    until(lambda: "begun" in joined.log("order-removed"), 60, joined.tail)
    (order,) = ours(onprem, "mljobs", "team-a", "order-removed")
    onprem.kubectl("delete", "mljob", "-n", "team-a", order["metadata"]["name"], "--wait=false")
    job = joined.completes("order-removed")
    # its pods went with it, so it was tried again
    assert job["ferry"]["attempt"] == 2
