"""Settings of a site as its programs read them: the environment, with what may hold a password in a Secret."""

from __future__ import annotations

import base64
import hashlib
import json

from ferryml.compile.install.kit import (
    AGENT,
    AGENT_KEY,
    AUTHORITIES,
    CURSOR,
    GATEWAY,
    GATEWAY_KEY,
    JOIN,
    ROUTER_DOOR,
    ROUTER_KEY,
    ROUTER_TABLE,
    ROUTER_TLS,
    SETTINGS,
    SITE,
    Manifest,
    obj,
)
from ferryml.compile.install.values import SECRET_SITE_SETTINGS, AgentValues, Scalar, image

CA_FOLDER = "/etc/ferry/ca"
STATE_FOLDER = "/var/lib/ferry"
SETTINGS_SUM = "ferryml.dev/settings"


def kept(values: AgentValues, namespace: str) -> list[Manifest]:
    """The objects that programs write later, empty, and what they are told in files."""
    token: dict[str, dict[str, str]] = {"data": {"token": _base64(values.join_token)}} if values.join_token else {}
    made = [
        obj("v1", "Secret", JOIN, namespace, type="Opaque") | token,
        obj("v1", "Secret", AGENT_KEY, namespace, type="Opaque"),
        obj("v1", "Secret", GATEWAY_KEY, namespace, type="Opaque"),
        obj("v1", "Secret", SETTINGS, namespace, type="Opaque", data=_secret(values)),
        *(obj("v1", "ConfigMap", name, namespace) for name in (SITE, CURSOR, GATEWAY)),
        obj("coordination.k8s.io/v1", "Lease", AGENT, namespace),
    ]
    if values.ca.pem:
        made.append(obj("v1", "ConfigMap", AUTHORITIES, namespace, data={"ca.pem": values.ca.pem}))
    return [*made, *_router_kept(values, namespace)]


def _router_kept(values: AgentValues, namespace: str) -> list[Manifest]:
    if not values.inference.enabled:
        return []
    names = (ROUTER_TABLE, ROUTER_KEY, ROUTER_DOOR)
    made = [obj("v1", "Secret", name, namespace, type="Opaque") for name in names]
    tls = values.inference.tls
    if tls.certificate:
        data = {"tls.crt": _base64(tls.certificate), "tls.key": _base64(tls.key)}
        made.append(obj("v1", "Secret", ROUTER_TLS, namespace, type="kubernetes.io/tls", data=data))
    return made


def settings_sum(values: AgentValues) -> str:
    """Changes with the settings that pods are told in files or secrets, so that they start anew."""
    told = "\n".join([*(text(values.site.get(name, "")) for name in SECRET_SITE_SETTINGS), values.ca.pem])
    return hashlib.sha256(told.encode()).hexdigest()


def environment(values: AgentValues, namespace: str, version: str) -> list[Manifest]:
    """Of agent and gateway alike."""
    plain = {f"FERRY_SITE_{k.upper()}": v for k, v in values.site.items() if k not in SECRET_SITE_SETTINGS}
    plain |= {f"FERRY_CLUSTER_{k.upper()}": v for k, v in values.cluster.items()}
    plain |= _fixed(values, namespace, version)
    named: list[Manifest] = [{"name": name, "value": text(plain[name])} for name in sorted(plain)]
    for field, path in (("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace")):
        named.append({"name": field, "valueFrom": {"fieldRef": {"fieldPath": path}}})
    return named


def authorities(values: AgentValues) -> tuple[list[Manifest], list[Manifest]]:
    """Volume and mount of the certificate authorities, where some were given."""
    name = AUTHORITIES if values.ca.pem else values.ca.config_map
    if not name:
        return [], []
    key = "ca.pem" if values.ca.pem else values.ca.key
    volume = {"name": "ca", "configMap": {"name": name, "items": [{"key": key, "path": "ca.pem"}]}}
    return [volume], [{"name": "ca", "mountPath": CA_FOLDER, "readOnly": True}]


def text(value: Scalar) -> str:
    """A setting as it stands in the environment."""
    return value if isinstance(value, str) else json.dumps(value)


def _secret(values: AgentValues) -> dict[str, str]:
    said = {name: text(values.site.get(name, "")) for name in SECRET_SITE_SETTINGS}
    return {f"FERRY_SITE_{name.upper()}": _base64(value) for name, value in said.items() if value}


def _base64(plain: str) -> str:
    return base64.b64encode(plain.encode()).decode()


def _builds(values: AgentValues, version: str) -> dict[str, Scalar]:
    asked = values.builds
    return {
        "FERRY_CLUSTER_BUILDS_NAMESPACE": asked.namespace,
        "FERRY_CLUSTER_BUILDER_IMAGE": image(values.images, values.images.builder, version),
        "FERRY_CLUSTER_BUILD_REGISTRY": asked.registry,
        "FERRY_CLUSTER_BUILD_SECRET": asked.secret,
        "FERRY_CLUSTER_BUILD_INSECURE": asked.insecure,
        "FERRY_CLUSTER_BUILD_PROXY": asked.proxy,
        "FERRY_CLUSTER_BUILD_USER_NAMESPACES": asked.user_namespaces,
    }


def _fixed(values: AgentValues, namespace: str, version: str) -> dict[str, Scalar]:
    said: dict[str, Scalar] = {
        "FERRY_SITE_BACKEND": "kubernetes",
        "FERRY_SITE_CONNECT": values.connect.enabled,
        "FERRY_SITE_STATE_DIR": "/tmp/ferry",  # noqa: S108  the pod's own
        "FERRY_CLUSTER_SYSTEM_NAMESPACE": namespace,
        "FERRY_CLUSTER_ENVIRONMENTS_NAMESPACE": values.environments.namespace,
        "FERRY_CLUSTER_NAMESPACES": "" if values.cluster_wide else ",".join(values.namespaces),
        "FERRY_CLUSTER_RUNNER_IMAGE": image(values.images, values.images.runner, version),
        "FERRY_CLUSTER_IMAGE_PULL_POLICY": values.images.pull_policy,
        "FERRY_CLUSTER_STATE_DIR": STATE_FOLDER,
        "FERRY_CLUSTER_INFERENCE": values.inference.enabled,
        "FERRY_LOG_LEVEL": values.log_level,
    }
    if values.ca.pem or values.ca.config_map:
        said["FERRY_SITE_CA_BUNDLE"] = f"{CA_FOLDER}/ca.pem"
        if values.ca.packages:
            said["FERRY_CLUSTER_PACKAGE_CA"] = f"{CA_FOLDER}/ca.pem"
        if values.ca.builds and values.builds.registry:
            said["FERRY_CLUSTER_BUILD_CA"] = f"{CA_FOLDER}/ca.pem"
    if values.builds.registry:
        said |= _builds(values, version)
    work = values.workloads
    for name, value in (
        ("WORKLOAD_NODE_SELECTOR", dict(work.node_selector)),
        ("WORKLOAD_TOLERATIONS", [dict(one) for one in work.tolerations]),
        ("IMAGE_ALIASES", dict(work.image_aliases)),
    ):
        if value:
            said[f"FERRY_CLUSTER_{name}_JSON"] = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return said
