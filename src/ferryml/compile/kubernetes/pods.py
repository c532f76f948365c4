"""What all pods of Ferry's have in common: its own containers beside the user's, their volumes, and who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.labels import label_value
from ferryml.compile.kubernetes.mounts import DataMounts
from ferryml.compile.kubernetes.plan import FERRY, FOLDER, PLAN, TOKEN

AUDIENCE = "ferry-gateway"
TOKEN_LIFE_S = 3600
MAIN = "main"
STAGE = "stage"
COLLECT = "collect"
STARTUP_S = 120
STAGE_CPU_LIMIT = "1"
COLLECT_CPU_LIMIT = "500m"
ONE_BY_ONE = {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
"""Of a PodDisruptionBudget: however many there are, one may be away; what does not work anyway holds up nobody."""

Json = Any


@dataclass(frozen=True, slots=True)
class Owner:
    """The custom resource that an object belongs to; with it gone the cluster removes the object."""

    kind: str
    name: str
    uid: str
    api_version: str = "ferryml.dev/v1alpha1"

    def references(self) -> list[dict[str, Json]]:
        return [
            {"apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
             "controller": True, "blockOwnerDeletion": False}
        ]  # fmt: skip


def own_security(cluster: Cluster) -> dict[str, Json]:
    """Our containers meet the Restricted level; without run_as_user the cluster's own range decides (OpenShift)."""
    user = {"runAsUser": cluster.run_as_user, "runAsGroup": cluster.run_as_user} if cluster.run_as_user else {}
    return {
        "runAsNonRoot": True, **user, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def user_security(cluster: Cluster) -> dict[str, Json]:
    """The user's container keeps its image's user; under `restricted` that user must not be root."""
    if cluster.pod_security != "restricted":
        return {"allowPrivilegeEscalation": False}
    return {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}


def pod_security(cluster: Cluster) -> dict[str, Json]:
    """The group of the shared folder; data on claims keeps its owner unless the top folder's group is another."""
    group = {"fsGroup": cluster.run_as_user, "fsGroupChangePolicy": "OnRootMismatch"} if cluster.run_as_user else {}
    return {**group, "seccompProfile": {"type": "RuntimeDefault"}}


def own_container(name: str, verb: str, cluster: Cluster, mounts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """`stage` or `collect` of the runner's image; mounts are those of the data."""
    cpu, memory, most = (
        (cluster.stage_cpu, cluster.stage_memory, STAGE_CPU_LIMIT)
        if verb == STAGE
        else (cluster.collect_cpu, cluster.collect_memory, COLLECT_CPU_LIMIT)
    )
    return {
        "name": name,
        "image": cluster.runner_image,
        "imagePullPolicy": cluster.image_pull_policy,
        "command": ["python", "-m", "ferryml.runner", verb, "--plan", f"{PLAN}/job.json", "--folder", FOLDER],
        "env": [
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108  a volume of its own
            field_env("FERRY_POD", "metadata.name"),
            field_env("FERRY_POD_UID", "metadata.uid"),
            field_env("FERRY_NODE", "spec.nodeName"),
        ],
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": most, "memory": memory}},
        "securityContext": own_security(cluster),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "ferry", "mountPath": FERRY},
            {"name": "plan", "mountPath": PLAN, "readOnly": True},
            {"name": "token", "mountPath": TOKEN, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  a volume of its own
            *mounts,
        ],
    }


def sidecar(cluster: Cluster, mounts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """`collect` as a native sidecar: main starts when its door is open, and it outlives main."""
    command = ["python", "-m", "ferryml.runner", "ready"]
    probe = {"exec": {"command": command}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": STARTUP_S}
    return {**own_container(COLLECT, COLLECT, cluster, mounts), "restartPolicy": "Always", "startupProbe": probe}


def field_env(name: str, path: str) -> dict[str, Json]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def volumes(config_map: str, shared_memory: str, data: DataMounts | None) -> list[dict[str, Json]]:
    """Volumes of a pod; `shared_memory` is a quantity, empty for none."""
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_LIFE_S, "path": "token"}
    found: list[dict[str, Json]] = [
        {"name": "ferry", "emptyDir": {}},
        {"name": "plan", "configMap": {"name": config_map, "defaultMode": 0o444}},
        {"name": "token", "projected": {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if shared_memory:
        found.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}})
    return [*found, *(data.volumes if data else [])]


def tolerations(
    cluster: Cluster, workspace: str, compute: str, wanted: Sequence[Json] = (), lost_s: int | None = None
) -> list[dict[str, Json]]:
    """The fixed ones, the site's own, the instance type's, and how long a lost node is waited for: else as for jobs."""
    fixed = {"amlarc": "true", "amlarc-workload": "true"}
    if workspace:
        # Ferry knows no resource groups: a workspace is one.
        fixed |= {"resource-group": workspace, "workspace": workspace, "compute": compute}
    known = [
        {"key": f"ml.azure.com/{key}", "operator": "Equal", "value": label_value(value)} for key, value in fixed.items()
    ]
    own = [*cluster.workload_tolerations, *wanted]
    return [*known, *own, *until_lost(cluster.node_lost_s if lost_s is None else lost_s, own)]


def until_lost(after_s: int, own: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """So long a node that fell silent keeps its pods, unless `own` tolerations say so themselves."""
    given = {item.get("key") for item in own if item.get("effect") == "NoExecute"}
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": after_s}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if key not in given
    ]


def apart(given: Mapping[str, Json] | None, selector: Mapping[str, str]) -> dict[str, Json]:
    """Affinity: a node's or a zone's end shall not take all of these pods; rather together, though, than not at all.

    What is given comes first. No spread constraints: a pod's own do nothing on nodes that lack one of their labels, and
    nodes often have no zone.
    """
    weights = {"kubernetes.io/hostname": 100, "topology.kubernetes.io/zone": 50}
    wished = [
        {"weight": weight,
         "podAffinityTerm": {"topologyKey": key, "labelSelector": {"matchLabels": selector}}}
        for key, weight in weights.items()
    ]  # fmt: skip
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wished}, **(given or {})}
