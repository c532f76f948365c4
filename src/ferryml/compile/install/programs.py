"""Agent and gateway as Deployments, with the gateway's Service and volume."""

from __future__ import annotations

from typing import Any

from ferryml.compile.install.config import (
    SETTINGS_SUM,
    STATE_FOLDER,
    authorities,
    environment,
    settings_sum,
)
from ferryml.compile.install.kit import (
    AGENT,
    GATEWAY,
    PART_OF,
    SETTINGS,
    STORE,
    Manifest,
    obj,
    pod,
)
from ferryml.compile.install.values import AgentValues, Resources, image

AGENT_PORT, GATEWAY_PORT = 8470, 8443
ADMIN_AUDIENCE = "ferry-gateway-admin"
TOKEN_FOLDER = "/var/run/ferry"  # noqa: S105  a folder
TOKEN_LIFE_S = 3600


def programs(values: AgentValues, namespace: str, version: str) -> list[Manifest]:
    """Both programs and what they need beside them."""
    made = [_deployment(AGENT, values, namespace, version), _deployment(GATEWAY, values, namespace, version)]
    ports = [{"name": "https", "port": GATEWAY_PORT, "targetPort": "https"}]
    selector = {"app.kubernetes.io/name": GATEWAY}
    return [*made, obj("v1", "Service", GATEWAY, namespace, spec={"selector": selector, "ports": ports})]


def store(values: AgentValues, namespace: str) -> list[Manifest]:
    """The claim of the site store, which outlives an installation."""
    asked = values.gateway.store
    if asked.kind != "claim":
        return []
    named = {"storageClassName": asked.storage_class} if asked.storage_class else {}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": asked.size}}, **named}
    return [obj("v1", "PersistentVolumeClaim", STORE, namespace, spec=spec)]


def _deployment(name: str, values: AgentValues, namespace: str, version: str) -> Manifest:
    labels = {"app.kubernetes.io/name": name}
    program = _agent if name == AGENT else _gateway
    container, volumes = program(values)
    ca, mounts = authorities(values)
    base = {
        "image": image(values.images, values.images.agent, version),
        "imagePullPolicy": values.images.pull_policy,
        "env": environment(values, namespace, version),
        "envFrom": [{"secretRef": {"name": SETTINGS}}],
    }
    container = {**base, **container, "volumeMounts": [_TMP_MOUNT, *mounts, *container["volumeMounts"]]}
    template = {
        "metadata": {"labels": {**labels, **PART_OF}, "annotations": {SETTINGS_SUM: settings_sum(values)}},
        "spec": pod(values, name, container, [_TMP, *ca, *volumes], replaced=name == AGENT),
    }
    spec = {
        "replicas": values.agent.replicas if name == AGENT else 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": template,
    }
    return obj("apps/v1", "Deployment", name, namespace, spec=spec)


_TMP: Manifest = {"name": "tmp", "emptyDir": {}}
_TMP_MOUNT: Manifest = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  the pod's own


def _agent(values: AgentValues) -> tuple[dict[str, Any], list[Manifest]]:
    """Its second token is for the gateway's own door alone."""
    container = {
        "name": "agent",
        "args": ["agent", "run"],
        "ports": [{"name": "health", "containerPort": AGENT_PORT}],
        **_probes("HTTP", "health", "/readyz"),
        "resources": _resources(values.agent.resources),
        "volumeMounts": [{"name": "gateway-token", "mountPath": TOKEN_FOLDER, "readOnly": True}],
    }
    token = {
        "serviceAccountToken": {
            "path": "gateway-token", "audience": ADMIN_AUDIENCE, "expirationSeconds": TOKEN_LIFE_S,
        }
    }  # fmt: skip
    return container, [{"name": "gateway-token", "projected": {"sources": [token]}}]


def _gateway(values: AgentValues) -> tuple[dict[str, Any], list[Manifest]]:
    store = values.gateway.store
    claims = {"claim": STORE, "existing": store.claim}
    place = (
        {"emptyDir": {}} if store.kind == "ephemeral" else {"persistentVolumeClaim": {"claimName": claims[store.kind]}}
    )
    container = {
        "name": "gateway",
        "args": ["gateway", "run"],
        "ports": [{"name": "https", "containerPort": GATEWAY_PORT}],
        **_probes("HTTPS", "https", "/healthz"),
        "resources": _resources(values.gateway.resources),
        "volumeMounts": [{"name": "store", "mountPath": STATE_FOLDER}],
    }
    return container, [{"name": "store", **place}]


def _probes(scheme: str, port: str, ready: str) -> dict[str, Manifest]:
    def probe(path: str, **more: int) -> Manifest:
        return {"httpGet": {"path": path, "port": port, "scheme": scheme}, "timeoutSeconds": 5, **more}

    return {
        "startupProbe": probe("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": probe("/healthz", periodSeconds=20, failureThreshold=4),
        "readinessProbe": probe(ready, periodSeconds=5, failureThreshold=2),
    }


def _resources(asked: Resources) -> Manifest:
    return {"requests": asked.requests.model_dump(), "limits": asked.limits.model_dump()}
