"""EndpointSlices as the cluster's own controller writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.backends.kubernetes.kinds import ENDPOINT_SLICES
from ferryml.backends.kubernetes.kube import name_of, namespace_of
from kube_play import PlayKube

SYSTEM = "sys"


def a_pod(name: str, host: str, **conditions: bool) -> dict[str, Any]:
    """One endpoint of a slice, ready unless said otherwise."""
    said = {"ready": True, "serving": True, "terminating": False} | conditions
    return {"addresses": [host], "conditions": said, "targetRef": {"kind": "Pod", "name": name}}


def a_slice(
    service: str, *pods: dict[str, Any], namespace: str = "team", labels: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": f"{service}-x", "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service, **(labels or {})},
        },
        "ports": [{"name": name, "port": port} for name, port in (ports or {"score": 5001}).items()],
        "endpoints": list(pods), **more,
    }  # fmt: skip


def of_revision(revision: str, *pods: dict[str, Any], namespace: str = "team") -> dict[str, Any]:
    labels = {"ferryml.dev/kind": "endpoint", "ferryml.dev/revision": revision}
    return a_slice(f"model-{revision}", *pods, namespace=namespace, labels=labels)


def of_routers(*names: str) -> dict[str, Any]:
    """Ready router pods named so, at 10.0.0.1 and up."""
    pods = [a_pod(name, f"10.0.0.{number}") for number, name in enumerate(names, 1)]
    return a_slice("ferry-router-peers", *pods, namespace=SYSTEM, ports={"peers": 9401, "door": 9402})


def put(kube: PlayKube, body: dict[str, Any]) -> None:
    """As it is now."""
    known = kube.get(ENDPOINT_SLICES, namespace_of(body), name_of(body))
    if known is None:
        kube.create(ENDPOINT_SLICES, body)
    else:
        kube.replace(ENDPOINT_SLICES, {**body, "metadata": {**known["metadata"], **body["metadata"]}})
