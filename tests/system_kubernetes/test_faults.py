"""Programs, pods, nodes and the API server go and come while jobs run: nothing is lost, nothing happens twice."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cluster_faults import (
    GATED,
    available,
    cordoned,
    counted_once,
    counting,
    kill_program,
    let_go,
    logged,
    outputs_so_far,
    own_pod,
    pods,
    pods_made,
    remove_pod,
    uid,
)
from cluster_play import SYSTEM, World
from ferryml.compile.kubernetes.names import resource_name
from kubebox import faults
from kubebox.cluster import Cluster
from system_play import until

STEPS = 25


def _server(world: World, cluster: Cluster) -> None:
    world.kill_server()
    world.serve()


def _api_server(world: World, cluster: Cluster) -> None:
    faults.stop_api_server(cluster)
    faults.restart_api_server(cluster)


def _pods(world: World, cluster: Cluster) -> None:
    remove_pod(cluster, "ferry-agent")
    remove_pod(cluster, "ferry-gateway")


FAULTS: dict[str, Callable[[World, Cluster], None]] = {
    "agent": lambda world, cluster: kill_program(cluster, "ferry-agent"),
    "gateway": lambda world, cluster: kill_program(cluster, "ferry-gateway"),
    "pods": _pods,
    "server": _server,
    "api-server": _api_server,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whoever_is_killed_nothing_is_lost_or_doubled(joined: World, onprem: Cluster, fault: str) -> None:
    """One job logs, one waits, two are about to start."""
    counts, waits, starts = f"counts-{fault}", f"waits-{fault}", [f"starts-{n}-{fault}" for n in range(2)]
    joined.submit(counts, counting(STEPS, 0.3), "team-a")
    joined.submit(waits, GATED, "team-b")
    logged(joined, counts, "line 1")
    logged(joined, waits, "begun")
    for name in starts:
        joined.submit(name, f"echo {name}", "team-a")

    FAULTS[fault](joined, onprem)

    available(onprem)
    let_go(onprem, "team-b", waits)
    for name in (counts, waits, *starts):
        joined.completes(name)
    counted_once(joined, onprem, "team-a", counts, STEPS)
    assert joined.log(waits) == "begun\nended\n"
    assert pods_made(onprem, "team-b", waits) == {"1": 1}
    for name in starts:
        assert joined.log(name) == f"{name}\n"
        assert pods_made(onprem, "team-a", name) == {"1": 1}


def test_of_two_agents_one_acts_and_the_other_takes_over(joined: World, onprem: Cluster) -> None:
    scale = ("scale", "deployment/ferry-agent", "-n", SYSTEM)
    onprem.kubectl(*scale, "--replicas=2")
    try:
        available(onprem, "ferry-agent")
        leader = _leader(onprem)
        joined.submit("led", counting(STEPS, 0.3), "team-a")
        logged(joined, "led", "line 1")
        onprem.kubectl("delete", "pod", "-n", SYSTEM, leader, "--grace-period=0", "--force")
        joined.submit("follows", "echo follows", "team-b")
        until(lambda: _leader(onprem) not in ("", leader), 60, joined.tail)
        joined.completes("led")
        joined.completes("follows")
        counted_once(joined, onprem, "team-a", "led", STEPS)
        assert pods_made(onprem, "team-b", "follows") == {"1": 1}
    finally:
        onprem.kubectl(*scale, "--replicas=1")
        available(onprem)


def test_an_evicted_pods_job_goes_on_elsewhere_with_its_outputs(joined: World, onprem: Cluster) -> None:
    command = "cat outputs/early 2>/dev/null; " + GATED
    joined.submit("evicted", command, "team-a")
    logged(joined, "evicted", "begun")
    pod = pods(onprem, "team-a", "evicted")[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "team-a"}}
    where = f"/api/v1/namespaces/team-a/pods/{pod}/eviction"
    onprem.kubectl("create", "--raw", where, "-f", "-", given=json.dumps(body))
    again = "retry-001/user_logs/std_log.txt"
    logged(joined, "evicted", "begun", again)
    let_go(onprem, "team-a", "evicted", 2)
    job = joined.completes("evicted")
    assert job["ferry"]["attempt"] == 2
    assert joined.log("evicted", again) == "early\nbegun\nended\n"
    assert pods_made(onprem, "team-a", "evicted") == {"1": 1, "2": 1}


def test_a_lost_nodes_job_is_tried_again_on_another_with_its_outputs_so_far(joined: World, onprem: Cluster) -> None:
    first, second = onprem.nodes
    assert own_pod(onprem, "ferry-agent")["spec"]["nodeName"] == first.name
    with cordoned(onprem, first.name):
        joined.submit("moved", "cat outputs/early 2>/dev/null; " + GATED, "team-a")
        logged(joined, "moved", "begun")
        until(lambda: outputs_so_far(onprem, "moved"), 60, joined.tail)
    assert pods(onprem, "team-a", "moved")[0]["spec"]["nodeName"] == second.name
    second.kill()
    again = "retry-001/user_logs/std_log.txt"
    until(lambda: "begun" in joined.log("moved", again), 120, joined.tail)
    assert pods(onprem, "team-a", "moved", 2)[0]["spec"]["nodeName"] == first.name
    let_go(onprem, "team-a", "moved", 2)
    job = joined.completes("moved")
    assert job["ferry"]["attempt"] == 2
    assert joined.log("moved", again) == "early\nbegun\nended\n"
    assert joined.log("moved") == "begun\n"
    assert pods_made(onprem, "team-a", "moved") == {"1": 1, "2": 1}


def test_an_order_removed_while_no_agent_looks_is_asked_for_again(joined: World, onprem: Cluster) -> None:
    joined.submit("unwatched", "cat outputs/early 2>/dev/null; " + GATED, "team-a")
    logged(joined, "unwatched", "begun")
    scale = ("scale", "deployment/ferry-agent", "-n", SYSTEM)
    onprem.kubectl(*scale, "--replicas=0")
    try:
        gone = ("--for=delete", "pod", "-l", "app.kubernetes.io/name=ferry-agent", "-n", SYSTEM, "--timeout=60s")
        onprem.kubectl("wait", *gone)
        onprem.kubectl("delete", "mljob", "-n", "team-a", resource_name(uid("unwatched")))
    finally:
        onprem.kubectl(*scale, "--replicas=1")
        available(onprem)
    again = "retry-001/user_logs/std_log.txt"
    logged(joined, "unwatched", "begun", again)
    let_go(onprem, "team-a", "unwatched", 2)
    job = joined.completes("unwatched")
    assert job["ferry"]["attempt"] == 2
    assert joined.log("unwatched", again) == "early\nbegun\nended\n"
    assert pods_made(onprem, "team-a", "unwatched") == {"1": 1, "2": 1}


def test_a_right_taken_away_and_given_back_changes_no_job(joined: World, onprem: Cluster) -> None:
    """The API server looks at rights when a watch begins, as it does in an agent that starts."""
    name = "kept"
    joined.submit(name, GATED, "team-b")
    logged(joined, name, "begun")
    binding = ("rolebinding", "ferry-system-work", "-n", "team-b")
    right = json.loads(onprem.kubectl("get", *binding, "-o", "json"))
    right["metadata"] = {key: right["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    onprem.kubectl("delete", *binding)
    try:
        kill_program(onprem, "ferry-agent")
        available(onprem)
        joined.submit("others", "echo goes on", "team-a")
        joined.completes("others")
        assert joined.job(name)["status"] == "Running"
    finally:
        onprem.apply(right)
    let_go(onprem, "team-b", name)
    job = joined.completes(name)
    assert job["ferry"]["attempt"] == 1
    assert joined.log(name) == "begun\nended\n"
    assert pods_made(onprem, "team-b", name) == {"1": 1}


def _leader(cluster: Cluster) -> str:
    return cluster.kubectl("get", "lease", "ferry-agent", "-n", SYSTEM, "-o", "jsonpath={.spec.holderIdentity}")
