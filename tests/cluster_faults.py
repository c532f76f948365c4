"""What tests of the link do to a site, and what they ask the cluster about the jobs there."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cluster_play import SYSTEM, World
from ferryml.compile.kubernetes.names import attempt_name, resource_name
from ferryml.domain.uids import uid_of
from kubebox.cluster import Cluster
from system_play import until

COUNT = """cat > count.py <<'END'
import json, os, sys, time, urllib.request
where = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
for step in range(int(sys.argv[1])):
    said = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "step", "value": step, "timestamp": step, "step": step}
    body = json.dumps(said).encode()
    ask = urllib.request.Request(where, body, {"Content-Type": "application/json"}, method="POST")
    urllib.request.urlopen(ask, timeout=60).read()
    print("line", step, flush=True)
    time.sleep(float(sys.argv[2]))
END
python count.py STEPS PAUSE && mkdir -p outputs && echo done > outputs/result"""
GATED = "echo begun; mkdir -p outputs; echo early > outputs/early; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended"


def counting(steps: int, pause_s: float) -> str:
    """A command that logs a line and a metric in each step."""
    return COUNT.replace("STEPS", str(steps)).replace("PAUSE", str(pause_s))


def uid(name: str) -> str:
    return uid_of("job", "default", name)


def pods(cluster: Cluster, namespace: str, name: str, attempt: int = 1) -> list[dict[str, Any]]:
    """Those of an attempt that are there now."""
    chosen = f"batch.kubernetes.io/job-name={attempt_name(uid(name), attempt)}"
    found = cluster.kubectl("get", "pods", "-n", namespace, "-l", chosen, "-o", "json")
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return items


def pods_made(cluster: Cluster, namespace: str, name: str) -> dict[str, int]:
    """How many pods each attempt has ever had, by the Job controller's own events."""
    found = cluster.kubectl("get", "events", "-n", namespace, "--field-selector=reason=SuccessfulCreate", "-o", "json")
    made: dict[str, int] = {}
    for event in json.loads(found)["items"]:
        whose = event["involvedObject"]["name"]
        if event["involvedObject"]["kind"] == "Job" and whose.startswith(f"{resource_name(uid(name))}-"):
            attempt = whose.rpartition("-")[2]
            made[attempt] = made.get(attempt, 0) + int(event.get("count") or 1)
    return made


def let_go(cluster: Cluster, namespace: str, name: str, attempt: int = 1) -> None:
    """Lets a GATED job come to its end."""
    pod = pods(cluster, namespace, name, attempt)[0]["metadata"]["name"]
    # the program may end before kubectl has heard that the file is there
    cluster.kubectl("exec", "-n", namespace, pod, "-c", "main", "--", "touch", "/tmp/go", check=False)


def steps_logged(world: World, name: str) -> list[int]:
    """Of the metric of a counting job, as the server has them; each point once or more."""
    where = f"{world.url}/mlflow/api/2.0/mlflow/metrics/get-history"
    run = world.job(name)["ferry"]["mlflow_run_id"]
    said = world.api.get(where, params={"run_id": run, "metric_key": "step", "max_results": 10_000})
    assert said.status_code == 200, said.text
    return sorted(int(point.get("step", 0)) for point in said.json().get("metrics", ()))


def counted_once(world: World, cluster: Cluster, namespace: str, name: str, steps: int) -> None:
    """The job ended well in one attempt of one pod, and all that it said is here, once."""
    job = world.job(name)
    assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1), job["ferry"]
    assert world.log(name) == "".join(f"line {step}\n" for step in range(steps))
    assert steps_logged(world, name) == list(range(steps))
    assert world.output(job) == {"outputs/result": b"done\n"}
    assert pods_made(cluster, namespace, name) == {"1": 1}


def logged(world: World, name: str, words: str, path: str = "user_logs/std_log.txt") -> None:
    """Waits until the server has this of the job's log."""
    until(lambda: words in world.log(name, path), 60, world.tail)


def own_pod(cluster: Cluster, program: str) -> dict[str, Any]:
    """The pod of `ferry-agent` or `ferry-gateway` that was made last."""
    chosen = f"app.kubernetes.io/name={program}"
    found = json.loads(cluster.kubectl("get", "pods", "-n", SYSTEM, "-l", chosen, "-o", "json"))["items"]
    newest: dict[str, Any] = max(found, key=lambda pod: pod["metadata"]["creationTimestamp"])
    return newest


def kill_container(cluster: Cluster, pod: dict[str, Any]) -> None:
    """kill -9 on the program of a pod's (only, or first) container, which Kubernetes then starts again."""
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    node = next(node for node in cluster.nodes if node.name == pod["spec"]["nodeName"])
    command = ["ctr", "--address", str(node.folder / "containerd.sock"), "-n", "k8s.io", "tasks", "list"]
    tasks = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    number = next(line.split()[1] for line in tasks.splitlines() if line.startswith(container))
    os.kill(int(number), signal.SIGKILL)


def kill_within(cluster: Cluster, namespace: str, pod: str, container: str, pattern: str) -> None:
    """-9 for one Python program in a container, whose first program begins it anew."""
    script = (
        "for p in /proc/[0-9]*; do "
        f"if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^[^ ]*python[^ ]* .*{pattern}'; "
        "then kill -9 ${p#/proc/}; fi; done"
    )
    in_pod(cluster, namespace, pod, script, container)


def kill_program(cluster: Cluster, program: str) -> None:
    """kill -9 on the program in its container; returns once Kubernetes has started it again."""
    pod = own_pod(cluster, program)
    status = pod["status"]["containerStatuses"][0]
    kill_container(cluster, pod)
    again = f"jsonpath={{.status.containerStatuses[0].restartCount}}={status['restartCount'] + 1}"
    cluster.kubectl("wait", "-n", SYSTEM, f"pod/{pod['metadata']['name']}", f"--for={again}", "--timeout=60s")


def remove_pod(cluster: Cluster, program: str) -> None:
    """Its pod is gone at once, without goodbye; another comes."""
    name = own_pod(cluster, program)["metadata"]["name"]
    cluster.kubectl("delete", "pod", "-n", SYSTEM, name, "--grace-period=0", "--force")


def outputs_so_far(cluster: Cluster, name: str, attempt: int = 1) -> set[str]:
    """Outputs of which the gateway has something for another attempt; asked as the agent asks it."""
    token = cluster.kubectl("create", "token", "ferry-agent", "-n", SYSTEM, "--audience=ferry-gateway-admin").strip()
    port = cluster.forward(own_pod(cluster, "ferry-gateway")["status"]["podIP"], 8443)
    said = httpx.get(
        f"https://127.0.0.1:{port}/admin/v1/outputs", params={"uid": uid(name), "attempt": attempt}, verify=False,
        headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30,
    )  # fmt: skip
    assert said.status_code == 200, said.text
    return set(said.json())


def available(cluster: Cluster, *deployments: str) -> None:
    """Waits until agent and gateway are ready."""
    for name in deployments or ("ferry-agent", "ferry-gateway"):
        cluster.kubectl("rollout", "status", "-n", SYSTEM, f"deployment/{name}", "--timeout=90s")


def in_pod(cluster: Cluster, namespace: str, pod: str, command: str, container: str = "main") -> str:
    """What a shell command in a container says."""
    line = ("exec", "-n", namespace, pod, "-c", container, "--", *shlex.split("sh -c"), command)
    return cluster.kubectl(*line)


@contextmanager
def cordoned(cluster: Cluster, node: str) -> Iterator[None]:
    """No new pod comes to the node in the meantime."""
    cluster.kubectl("cordon", node)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", node)
