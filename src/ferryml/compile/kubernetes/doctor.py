"""The doctor's probe as objects: pods that show whether images come, names resolve and policies are enforced."""

from __future__ import annotations

from typing import Any

from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.pods import own_security, pod_security, tolerations

Json = Any
ROLE = f"{marks.GROUP}/doctor"
OPEN, WALLED, CLIENT = "open", "walled", "client"
PORT = 8080
LIFE_S = 180
"""No pod of the probe outlives this."""

SERVER = """
import json, socket, sys, threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
def found(name):
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError as error:
        return str(error)
print(json.dumps({name: found(name) for name in sys.argv[1:]}), flush=True)
server = HTTPServer(("", 8080), SimpleHTTPRequestHandler)
threading.Timer(150, server.shutdown).start()
server.serve_forever()
"""
"""Says which names it finds, then lets itself be called."""

ASKER = """
import json, os, socket, sys, time
def reached(host, port, tries):
    for _ in range(tries):
        try:
            socket.create_connection((host, port), 2).close()
            return True
        except OSError:
            time.sleep(1)
    return False
free = reached(sys.argv[1], 8080, 15)
walled = [reached(sys.argv[2], 8080, 1) for _ in range(4)] if free else []
host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
outside = [reached(host, port, 1) for _ in range(2)] if free else []
last = lambda calls: bool(calls) and calls[-1]
print(json.dumps({"open": free, "walled": last(walled), "outside": last(outside)}), flush=True)
"""
"""Calls a pod that lets everyone in, one that lets nobody in, and an address that its own policy forbids."""


def name_of(role: str) -> str:
    return f"ferry-doctor-{role}"


def server_job(role: str, cluster: Cluster, names: tuple[str, ...]) -> dict[str, Json]:
    """A pod that waits to be called; `names` are what it looks up first."""
    return _job(role, cluster, ["python", "-c", SERVER, *names])


def client_job(cluster: Cluster, free: str, walled: str) -> dict[str, Json]:
    """A pod that calls both."""
    return _job(CLIENT, cluster, ["python", "-c", ASKER, free, walled])


def policies(namespace: str) -> tuple[dict[str, Json], ...]:
    """`open` may be called and may call; nobody may call `walled`; `client` may call pods of the probe only."""
    probe = {"podSelector": {"matchExpressions": [{"key": ROLE, "operator": "Exists"}]}}
    return (
        _policy(OPEN, namespace, {"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}),
        _policy(WALLED, namespace, {"policyTypes": ["Ingress"], "ingress": []}),
        _policy(CLIENT, namespace, {"policyTypes": ["Egress"], "egress": [{"to": [probe]}]}),
    )


def _labels(role: str) -> dict[str, str]:
    return {**marks.MANAGED, ROLE: role}


def _policy(role: str, namespace: str, rules: dict[str, Json]) -> dict[str, Json]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name_of(role), "namespace": namespace, "labels": _labels(role)},
        "spec": {"podSelector": {"matchLabels": {ROLE: role}}, **rules},
    }


def _job(role: str, cluster: Cluster, command: list[str]) -> dict[str, Json]:
    amounts = {"cpu": "10m", "memory": "48Mi"}
    container = {
        "name": "main",
        "image": cluster.runner_image,
        "imagePullPolicy": cluster.image_pull_policy,
        "command": command,
        "resources": {"requests": amounts, "limits": {"memory": amounts["memory"]}},
        "securityContext": own_security(cluster),
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": pod_security(cluster),
        "containers": [container],
        "imagePullSecrets": [{"name": name} for name in cluster.image_pull_secrets],
        "nodeSelector": dict(cluster.workload_node_selector),
        "tolerations": tolerations(cluster, "", ""),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name_of(role), "namespace": cluster.environments_namespace, "labels": _labels(role)},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": LIFE_S,
            "ttlSecondsAfterFinished": LIFE_S,
            "template": {"metadata": {"labels": _labels(role)}, "spec": pod},
        },
    }
