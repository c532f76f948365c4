"""What all objects of an installation share: names, labels, and pods that the Restricted level admits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.compile.install.values import AgentValues
from ferryml.compile.kubernetes.pods import until_lost

Manifest = dict[str, Any]

AGENT, GATEWAY, PREPARATION, BUILD = "ferry-agent", "ferry-gateway", "ferry-preparation", "ferry-build"
ROUTER, PEERS = "ferry-router", "ferry-router-peers"
ROUTER_TABLE, ROUTER_KEY, ROUTER_DOOR, ROUTER_TLS = (f"{ROUTER}-{part}" for part in ("table", "key", "door", "tls"))
AGENT_KEY, GATEWAY_KEY, JOIN, SETTINGS = "ferry-agent-key", "ferry-gateway-key", "ferry-join", "ferry-settings"
SITE, CURSOR, STORE, AUTHORITIES = "ferry-site", "ferry-cursor", "ferry-store", "ferry-ca"
PART_OF = {"app.kubernetes.io/part-of": "ferry"}
SYSTEM_TOLERATIONS: tuple[Mapping[str, Any], ...] = tuple(
    {"key": f"ml.azure.com/{key}", "operator": "Equal", "value": "true"} for key in ("amlarc", "amlarc-system")
)


LOST_S = 30
"""Default of the setting `serving_node_lost_s`."""


def obj(api_version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Manifest:
    """One object with Ferry's labels."""
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, **place, "labels": {"app.kubernetes.io/name": name, **PART_OF}}, **rest,
    }  # fmt: skip


def role_name(namespace: str, part: str) -> str:
    """Of a cluster-wide object: two installations in one cluster do not meet."""
    return f"{namespace}-{part}"


def pod(
    values: AgentValues, account: str, container: Manifest, volumes: list[Manifest], replaced: bool = False
) -> Manifest:
    """The specification of a pod of Ferry's own, with one container.

    `replaced`: soon after its node fell silent. A second one may begin then before the first has ended: routers share
    nothing, of agents a Lease lets one act. The gateway's volume has one writer; it waits as long as the cluster says.
    """
    user: Manifest = {"runAsUser": values.user_id, "fsGroup": values.user_id} if values.user_id else {}
    group = {"fsGroupChangePolicy": "OnRootMismatch"} if values.user_id else {}
    lost_s = int(values.cluster.get("serving_node_lost_s", LOST_S))
    lost = until_lost(lost_s, values.tolerations) if replaced else ()
    spec: Manifest = {
        "serviceAccountName": account,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, **user, **group, "seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": [dict(one) for one in (*SYSTEM_TOLERATIONS, *values.tolerations, *lost)],
        "containers": [{**container, "securityContext": restricted()}],
        "volumes": volumes,
    }
    if values.node_selector:
        spec["nodeSelector"] = dict(values.node_selector)
    if values.priority_class:
        spec["priorityClassName"] = values.priority_class
    if values.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in values.images.pull_secrets]
    return spec


def restricted() -> Manifest:
    """A container's securityContext at the Restricted Pod Security level, and read-only beside."""
    return {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
