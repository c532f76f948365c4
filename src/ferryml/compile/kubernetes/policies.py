"""NetworkPolicies of a compute's namespace: only its own ranks call a job's pods, and bound data finds no way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.labels import ATTEMPT, BOUND, KIND, MANAGED, UID

GATEWAY_PODS = {"app.kubernetes.io/name": "ferry-gateway"}
ROUTER_PODS = {"app.kubernetes.io/name": "ferry-router"}
DNS_NAMESPACES = ("kube-system", "openshift-dns")
NODE_DNS = "169.254.20.10/32"
"""Where NodeLocal DNSCache listens."""
NAMESPACE_NAME = "kubernetes.io/metadata.name"

Json = Any


def namespace_policies(namespace: str, cluster: Cluster) -> list[dict[str, Json]]:
    """What holds for all jobs of a namespace; applied once, before its first pod. Empty when switched off."""
    if not cluster.network_policies:
        return []
    jobs = {**MANAGED, KIND: "job"}
    confined = jobs if cluster.egress == "gateway" else {**jobs, BOUND: "true"}
    closed = {"podSelector": {"matchLabels": jobs}, "policyTypes": ["Ingress"]}
    egress = {
        "podSelector": {"matchLabels": confined},
        "policyTypes": ["Egress"],
        "egress": [_to_gateway(cluster), _to_dns()],
    }
    return [
        _policy({"name": "ferry-jobs", "namespace": namespace, "labels": MANAGED}, closed),
        _policy({"name": "ferry-bound", "namespace": namespace, "labels": MANAGED}, egress),
    ]


def serving_policies(namespace: str, cluster: Cluster) -> list[dict[str, Json]]:
    """What holds for all pods of endpoints in a namespace: the router alone calls them, and the kubelet, which no
    policy keeps out; they call what jobs may call."""
    if not cluster.network_policies:
        return []
    pods = {**MANAGED, KIND: "endpoint"}
    confined = pods if cluster.egress == "gateway" else {**pods, BOUND: "true"}
    routed = {
        "podSelector": {"matchLabels": pods},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [_in_system(cluster, ROUTER_PODS)]}],
    }
    egress = {
        "podSelector": {"matchLabels": confined},
        "policyTypes": ["Egress"],
        "egress": [_to_gateway(cluster), _to_dns()],
    }
    return [
        _policy({"name": "ferry-endpoints", "namespace": namespace, "labels": MANAGED}, routed),
        _policy({"name": "ferry-endpoints-bound", "namespace": namespace, "labels": MANAGED}, egress),
    ]


def ranks_policy(meta: Mapping[str, Json]) -> dict[str, Json]:
    """The pods of one attempt may talk to each other, on any port. `meta` is that of the attempt's objects."""
    same = {"matchLabels": {key: meta["labels"][key] for key in (*MANAGED, KIND, UID, ATTEMPT)}}
    spec = {
        "podSelector": same,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": same}]}],
    }
    if meta["labels"].get(BOUND):
        spec |= {"policyTypes": ["Ingress", "Egress"], "egress": [{"to": [{"podSelector": same}]}]}
    return _policy(dict(meta), spec)


def _to_gateway(cluster: Cluster) -> dict[str, Json]:
    return {"to": [_in_system(cluster, GATEWAY_PODS)], "ports": [{"protocol": "TCP", "port": cluster.gateway_port}]}


def _in_system(cluster: Cluster, pods: Mapping[str, str]) -> dict[str, Json]:
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: cluster.system_namespace}},
        "podSelector": {"matchLabels": dict(pods)},
    }


def _to_dns() -> dict[str, Json]:
    known = {"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": list(DNS_NAMESPACES)}]}
    ports = [{"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("UDP", "TCP")]
    return {"to": [{"namespaceSelector": known}, {"ipBlock": {"cidr": NODE_DNS}}], "ports": ports}


def _policy(meta: Mapping[str, Json], spec: Mapping[str, Json]) -> dict[str, Json]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": dict(meta), "spec": dict(spec)}
