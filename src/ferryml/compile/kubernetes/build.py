"""The Job that builds an environment's image once for a site: pulled, built and pushed by containers of their own."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any

from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.images import has_registry, pull_secrets
from ferryml.compile.kubernetes.job import Manifests, config_map
from ferryml.compile.kubernetes.labels import annotations_of, labels_of
from ferryml.compile.kubernetes.names import build_name, build_uid
from ferryml.compile.kubernetes.plan import DOOR, DOOR_PORT, FERRY, FOLDER, PLAN, TOKEN
from ferryml.compile.kubernetes.pods import (
    MAIN,
    STAGE,
    own_container,
    own_security,
    pod_security,
    sidecar,
    tolerations,
    volumes,
)
from ferryml.compile.plan import Bring, brought
from ferryml.domain.errors import Refused
from ferryml.domain.orders import EnvironmentOrder

SERVICE_ACCOUNT = "ferry-build"
PULL, BUILD = "pull", "build"
WORK = "/ferry-build"
AUTH = "/ferry-auth"
CONTEXT = "context"
CA_KEY = "registry-ca.pem"
USER = 1000
"""Of the builder's image: its subordinate ids are written there for this one."""
NEEDED = ("SETGID", "SETUID")
"""Capabilities that map a Dockerfile's users into a user namespace; nothing else is left."""
FIELD_SINCE = (1, 30)
"""`appArmorProfile` is a field from then on, an annotation before."""
TAG_DIGITS = 20
KEPT_S = 3600
"""So long a build that has ended waits for somebody to hear of it; then nobody does any more."""
GRACE_S = 5
"""A build that is ended leaves nothing behind that anyone would want."""

Json = Any


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """One building of an image; `order` is the image alone, `attempt` counts up when it is tried again."""

    order: EnvironmentOrder
    attempt: int = 1


def check_builds(cluster: Cluster) -> None:
    """Raises Refused `BuildsDisabled`."""
    if not cluster.build_registry:
        raise Refused(
            "BuildsDisabled", "this site has no registry for images that it builds",
            "IT sets FERRY_CLUSTER_BUILD_REGISTRY of the site (builds.registry in the chart), or give image instead.",
        )  # fmt: skip
    if not has_registry(f"{cluster.build_registry}/x"):
        raise Refused(
            "BadValue", f"build_registry {cluster.build_registry[:200]!r} does not begin with a host",
            "Write HOST[:PORT][/PATH], with a dot or a port in the host.",
        )  # fmt: skip


def image_name(order: EnvironmentOrder, cluster: Cluster) -> str:
    """`REGISTRY/ferry/NAME:HASH`; the hash is that of the content, the name for people."""
    said = order.name.split(":")[1] if order.name.count(":") >= 2 else "anonymous"
    name = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:100].strip("-") or "environment"
    return f"{cluster.build_registry.rstrip('/')}/ferry/{name}:{order.key[:TAG_DIGITS]}"


def make_build(build: ImageBuild, cluster: Cluster) -> Manifests:
    """ConfigMap and Job in the namespace of builds. Raises Refused BuildsDisabled, BadValue."""
    check_builds(cluster)
    order, name = build.order, build_name(build.order.key)
    uid = build_uid(order)
    meta: dict[str, Json] = {
        "name": name, "namespace": cluster.builds_namespace, "labels": labels_of("build", uid, build.attempt, "", ""),
        "annotations": annotations_of(uid, order.name or order.key),
    }  # fmt: skip
    plan = build_plan(build, cluster)
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": meta,
        "spec": {
            "completionMode": "Indexed", "completions": 1, "parallelism": 1, "backoffLimit": 0,
            "podReplacementPolicy": "Failed", "activeDeadlineSeconds": int(cluster.build_timeout_s),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {
                    "labels": meta["labels"], "annotations": {**meta["annotations"], **_unconfined_notes(cluster)},
                },
                "spec": _pod(cluster, name),
            },
        },
    }  # fmt: skip
    settings = config_map(meta, plan, cluster, "")
    if cluster.build_ca_pem:
        settings["data"][CA_KEY] = cluster.build_ca_pem
    return Manifests((settings, job), plan, ())


def build_plan(build: ImageBuild, cluster: Cluster) -> dict[str, Json]:
    """The content of job.json of a build; it holds no secret, for a Dockerfile's commands may read it."""
    order = build.order
    assert order.build is not None  # noqa: S101  only these are built
    bring = Bring(folders=[])
    bring.tree("the build context", order.build.context, CONTEXT)
    host = cluster.build_registry.partition("/")[0]
    return {
        "kind": "build", "uid": build_uid(order), "attempt": build.attempt, "gateway": cluster.gateway_url,
        "ca": f"{PLAN}/ca.pem", "token_file": f"{TOKEN}/token", "door_port": DOOR_PORT, "overlay": "", "notes": [],
        "instances": 1, "ranks": 1, "log_prefix": "",
        "build": {
            "context": posixpath.join(FOLDER, CONTEXT), "dockerfile": order.build.dockerfile,
            "image": image_name(order, cluster), "aliases": dict(cluster.image_aliases),
            "image_registry": cluster.image_registry, "insecure": [host] if cluster.build_insecure else [],
            "certificates": "/ferry-certificates" if cluster.build_ca_pem else "",
            "index": f"{DOOR}/v1/packages/simple/", "tmp": "/tmp",  # noqa: S108  a volume of its own
        },
        **brought(bring),
    }  # fmt: skip


def _pod(cluster: Cluster, name: str) -> dict[str, Json]:
    selector = dict(cluster.workload_node_selector)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": pod_security(cluster),
        "tolerations": tolerations(cluster, "", ""),
        "initContainers": [
            own_container(STAGE, STAGE, cluster, ()), sidecar(cluster, ()),
            _builder(PULL, cluster, _auth(cluster)), _builder(BUILD, cluster, []),
        ],
        "containers": [_pusher(cluster)],
        "volumes": _volumes(cluster, name),
        **({"hostUsers": False} if cluster.build_user_namespaces else {}),
        **({"nodeSelector": selector} if selector else {}),
        **pull_secrets(cluster),
    }  # fmt: skip


def _builder(verb: str, cluster: Cluster, more: list[dict[str, Json]]) -> dict[str, Json]:
    """`pull` has the registry's password and runs nothing of the user's; `build` runs it and has no password."""
    return {
        **_container(verb, verb, cluster),
        "securityContext": _build_security(cluster),
        "resources": {
            "requests": {"cpu": cluster.build_cpu, "memory": cluster.build_memory},
            "limits": {"memory": cluster.build_memory, "ephemeral-storage": cluster.build_storage},
        },
        "volumeMounts": [
            {"name": "ferry", "mountPath": FERRY, "readOnly": True},
            {"name": "work", "mountPath": WORK},
            {"name": "builder-tmp", "mountPath": "/tmp"},  # noqa: S108  a volume of its own
            {"name": "builder-tmp", "mountPath": "/var/tmp", "subPath": "var"},  # noqa: S108  the same
            *_plan_mounts(cluster), *more,
        ],
    }  # fmt: skip


def _pusher(cluster: Cluster) -> dict[str, Json]:
    """At the Restricted level; it sees the archive that was built and can change nothing of it."""
    return {
        **_container(MAIN, "push", cluster),
        "securityContext": own_security(cluster),
        "resources": {
            "requests": {"cpu": cluster.stage_cpu, "memory": cluster.stage_memory},
            "limits": {"memory": cluster.build_memory},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": WORK, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  a volume of its own
            *_plan_mounts(cluster), *_auth(cluster),
        ],
    }  # fmt: skip


def _container(name: str, verb: str, cluster: Cluster) -> dict[str, Json]:
    return {
        "name": name,
        "image": cluster.builder_image,
        "imagePullPolicy": cluster.image_pull_policy,
        "command": ["python3", "-m", "ferryml.runner", verb, "--plan", f"{PLAN}/job.json", "--folder", WORK],
        "env": [
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            *([{"name": "REGISTRY_AUTH_FILE", "value": f"{AUTH}/config.json"}] if _auth_of(verb, cluster) else []),
            *_proxy(cluster),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }  # fmt: skip


def _auth_of(verb: str, cluster: Cluster) -> bool:
    return verb != BUILD and bool(cluster.build_secret)


def _proxy(cluster: Cluster) -> list[dict[str, Json]]:
    if not cluster.build_proxy:
        return []
    direct = "127.0.0.1,localhost,.svc," + cluster.build_registry.partition("/")[0].partition(":")[0]
    said = {"HTTP_PROXY": cluster.build_proxy, "HTTPS_PROXY": cluster.build_proxy, "NO_PROXY": direct}
    return [{"name": key, "value": value} for name, value in said.items() for key in (name, name.lower())]


def _build_security(cluster: Cluster) -> dict[str, Json]:
    """What rootless buildah needs, and no more: an unprivileged user with two capabilities, whose system calls may
    make user and mount namespaces. `newuidmap` is a program with rights of its own, so escalation is allowed within
    these two capabilities."""
    profile = {"appArmorProfile": {"type": "Unconfined"}} if cluster.kubernetes >= FIELD_SINCE else {}
    return {
        "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "privileged": False,
        "allowPrivilegeEscalation": True, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": list(NEEDED)}, "seccompProfile": {"type": "Unconfined"}, **profile,
    }  # fmt: skip


def _unconfined_notes(cluster: Cluster) -> dict[str, str]:
    if cluster.kubernetes >= FIELD_SINCE:
        return {}
    return {f"container.apparmor.security.beta.kubernetes.io/{name}": "unconfined" for name in (PULL, BUILD)}


def _plan_mounts(cluster: Cluster) -> list[dict[str, Json]]:
    certificates = {"name": "certificates", "mountPath": "/ferry-certificates", "readOnly": True}
    return [
        {"name": "plan", "mountPath": PLAN, "readOnly": True},
        *([certificates] if cluster.build_ca_pem else []),
    ]


def _auth(cluster: Cluster) -> list[dict[str, Json]]:
    return [{"name": "auth", "mountPath": AUTH, "readOnly": True}] if cluster.build_secret else []


def _volumes(cluster: Cluster, name: str) -> list[dict[str, Json]]:
    made = [
        *volumes(name, "", None),
        {"name": "work", "emptyDir": {"sizeLimit": cluster.build_storage}},
        {"name": "builder-tmp", "emptyDir": {}},
    ]
    if cluster.build_secret:
        # a pod that waits for a Secret says nothing; the container says that there is none
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        made.append(
            {
                "name": "auth",
                "secret": {"secretName": cluster.build_secret, "items": items, "defaultMode": 0o444, "optional": True},
            }
        )
    if cluster.build_ca_pem:
        items = [{"key": CA_KEY, "path": "ca.crt"}]
        made.append({"name": "certificates", "configMap": {"name": name, "items": items}})
    return made
