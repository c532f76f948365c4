"""The doctor's lines on the router: is it there, on enough nodes, and can callers reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ferryml.agent.ports import Kube
from ferryml.domain.explain.places import nodes
from ferryml.domain.statuses import Finding

CHECK = "router"
NAME = "ferry-router"
_SHOWN = 3


def router_findings(kube: Kube, system: str) -> Iterator[Finding]:
    """Of a site where endpoints may be served. Codes of Azure ML's health check stand in the fix."""
    pods = kube.list("v1/pods", system, f"app.kubernetes.io/name={NAME}")
    if not pods:
        yield Finding(
            check=CHECK, code="SiteUnhealthy", level="warning",
            cause="endpoints may be served here, but no router runs",
            evidence=f"no pod {NAME} in {system}", fix="IT sets inference.enabled=true in the chart ferry-agent.",
        )  # fmt: skip
        return
    ready = [pod for pod in pods if _is_ready(pod)]
    open_ = [node for node in nodes(kube.list("v1/nodes")) if node.ready and not node.cordoned]
    if len(ready) < len(pods) and len(pods) > len(open_):
        yield Finding(
            check=CHECK, code="ClusterTooSmall", level="failed",
            cause=f"the router is to run on {len(pods)} nodes, and this cluster has {len(open_)}",
            evidence=f"{len(ready)} of {len(pods)} are ready",
            fix="Set inference.router.replicas=1 in the chart ferry-agent, or add nodes (E40002 INSUFFICIENT_NODE).",
        )  # fmt: skip
    elif len(ready) < len(pods):
        yield Finding(
            check=CHECK, code="SiteUnhealthy", level="warning" if ready else "failed", cause="routers are not ready",
            evidence="; ".join(_why(pod) for pod in pods if pod not in ready)[:300],
            fix=f"kubectl -n {system} describe pods -l app.kubernetes.io/name={NAME}; its sidecar says what it lacks.",
        )  # fmt: skip
    else:
        yield Finding(check=CHECK, code="Ok", level="ok", cause="the router is ready", evidence=f"{len(ready)} pods")
    yield from _address(kube, system)


def _address(kube: Kube, system: str) -> Iterator[Finding]:
    service: Mapping[str, Any] = kube.get("v1/services", NAME, system) or {}
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if (service.get("spec") or {}).get("type") == "LoadBalancer" and not ingress:
        yield Finding(
            check=CHECK, code="NotSupported", level="warning", cause="no load balancer has given the router an address",
            evidence=f"Service {system}/{NAME}",
            fix="Wait a minute; without load balancers, set inference.router.service.type to NodePort or ClusterIP "
            "(E40001 LOAD_BALANCER_NOT_SUPPORT).",
        )  # fmt: skip


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in _conditions(pod))


def _conditions(pod: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (pod.get("status") or {}).get("conditions") or ()


def _why(pod: Mapping[str, Any]) -> str:
    said = [str(one.get("message")) for one in _conditions(pod) if one.get("status") == "False" and one.get("message")]
    return f"{(pod.get('metadata') or {}).get('name')}: {', '.join(said[:_SHOWN]) or 'starting'}"
