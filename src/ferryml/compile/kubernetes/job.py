"""One attempt of a job as objects of a cluster: a ConfigMap with its plan, an Indexed Job, a Service for its ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.distribution import Group
from ferryml.compile.kubernetes.images import pull_secrets, user_image
from ferryml.compile.kubernetes.labels import ATTEMPT, KIND, MANAGED_BY, UID, annotations_of, labels_of
from ferryml.compile.kubernetes.mounts import DataMounts
from ferryml.compile.kubernetes.names import attempt_name
from ferryml.compile.kubernetes.plan import FERRY, FOLDER, PLAN, Archive, make_plan
from ferryml.compile.kubernetes.pods import (
    MAIN,
    STAGE,
    Owner,
    own_container,
    pod_security,
    sidecar,
    tolerations,
    user_security,
    volumes,
)
from ferryml.compile.kubernetes.policies import ranks_policy
from ferryml.compile.kubernetes.shared_memory import shared_memory
from ferryml.domain.errors import Refused
from ferryml.domain.orders import JobOrder
from ferryml.domain.seen import Launch
from ferryml.domain.spec.instance_type import InstanceType

LONGEST_PLAN = 900_000
"""Bytes; a ConfigMap holds 1 MiB."""
GRACE_SLACK_S = 30
SUCCESS_POLICY_SINCE = (1, 31)
QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"

Json = Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that one attempt's objects are made of."""

    launch: Launch
    namespace: str
    instance_type: InstanceType
    owner: Owner | None = None
    environment: Archive | None = None
    image: str = ""
    """The one that was built for it; empty: as its environment says."""
    claims: tuple[Mapping[str, Json], ...] = ()
    """PersistentVolumeClaims of the namespace, as the API gives them; those labelled for it are mounted."""
    service_account: str = ""
    """Empty: the namespace's default; its token is not mounted either way."""
    labels: tuple[tuple[str, str], ...] = ()
    """Further labels of Job and pods."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """In the order in which they are to be applied."""

    objects: tuple[dict[str, Json], ...]
    plan: dict[str, Json]
    notes: tuple[str, ...]
    """Also in the plan."""

    @property
    def job(self) -> dict[str, Json]:
        return self.objects[-1]


def make_attempt(attempt: Attempt, cluster: Cluster) -> Manifests:
    """Raises Refused when the order cannot be carried out in a cluster: PathEscapes, NotSupported, BadValue, ..."""
    launch = attempt.launch
    order, name = launch.order, attempt_name(launch.uid, launch.attempt)
    mounts = DataMounts(attempt.namespace)
    plan, group = make_plan(launch, cluster, mounts, attempt.environment)
    mounts.labelled(attempt.claims, order.instance_count)
    notes = tuple(mounts.notes)
    plan["notes"] = [*plan["notes"], *notes]
    several = order.instance_count > 1
    meta = _meta(attempt, name)
    objects = [
        config_map(meta, plan, cluster, cluster.main_sh),
        *([_service(meta)] if several else []),
        *([ranks_policy(meta)] if several and cluster.network_policies else []),
        _job(attempt, cluster, meta, group, mounts),
    ]
    return Manifests(tuple(objects), plan, notes)


def config_map(meta: Mapping[str, Json], plan: Mapping[str, Json], cluster: Cluster, script: str) -> dict[str, Json]:
    """What a pod's own containers and main.sh read. Raises Refused `LimitExceeded`."""
    text = json.dumps(plan, sort_keys=True, ensure_ascii=False)
    if len(text.encode()) > LONGEST_PLAN:
        raise Refused(
            "LimitExceeded",
            f"the plan of this job is {len(text.encode())} bytes, the cluster takes {LONGEST_PLAN}",
            "Use fewer inputs and shorter commands or variables; put long texts into the code folder.",
        )
    data = {"job.json": text, "main.sh": script, "ca.pem": cluster.ca}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta), "immutable": True, "data": data}


def _meta(attempt: Attempt, name: str) -> dict[str, Json]:
    return {
        "name": name,
        "namespace": attempt.namespace,
        "labels": _labels(attempt),
        "annotations": annotations_of(attempt.launch.uid, attempt.launch.order.name),
        **({"ownerReferences": attempt.owner.references()} if attempt.owner else {}),
    }


def _labels(attempt: Attempt) -> dict[str, str]:
    launch, order = attempt.launch, attempt.launch.order
    bound = bool(order.residency.zones)
    mine = labels_of("job", launch.uid, launch.attempt, order.workspace, order.compute, bound)
    return {**dict(attempt.labels), **mine}


def _service(meta: Mapping[str, Json]) -> dict[str, Json]:
    """Gives each rank a host name as soon as its pod has an address."""
    wanted = {key: meta["labels"][key] for key in (MANAGED_BY, KIND, UID, ATTEMPT)}
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": wanted}
    return {"apiVersion": "v1", "kind": "Service", "metadata": dict(meta), "spec": spec}


def _job(
    attempt: Attempt, cluster: Cluster, meta: Mapping[str, Json], group: Group, mounts: DataMounts
) -> dict[str, Json]:
    order = attempt.launch.order
    queued = cluster.gang == "kueue" and bool(_queue(order, cluster))
    labels = {**meta["labels"], **(_kueue(order, cluster) if queued else {})}
    spec: dict[str, Json] = {
        "completionMode": "Indexed",
        "completions": order.instance_count,
        "parallelism": order.instance_count,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "suspend": order.instance_count > 1 or queued,
        "template": {
            "metadata": {"labels": meta["labels"], "annotations": meta["annotations"]},
            "spec": _pod(attempt, cluster, mounts),
        },
    }
    if group.leaders and cluster.kubernetes >= SUCCESS_POLICY_SINCE:
        last = group.leaders - 1
        succeeded = {"succeededIndexes": f"0-{last}" if last else "0", "succeededCount": group.leaders}
        spec["successPolicy"] = {"rules": [succeeded]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {**meta, "labels": labels}, "spec": spec}


def _pod(attempt: Attempt, cluster: Cluster, mounts: DataMounts) -> dict[str, Json]:
    order, kind = attempt.launch.order, attempt.instance_type.spec
    name = attempt_name(attempt.launch.uid, attempt.launch.attempt)
    priority = kind.priority_class_name or order.labels.get(PRIORITY) or cluster.priority_class
    optional = {
        "subdomain": name if order.instance_count > 1 else "",
        "serviceAccountName": attempt.service_account,
        "nodeSelector": node_selector(attempt.instance_type, cluster),
        "affinity": kind.affinity,
        "runtimeClassName": kind.runtime_class_name,
        "priorityClassName": priority,
        "schedulerName": cluster.scheduler_name,
        **pull_secrets(cluster),
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(cluster.cancel_grace_s) + GRACE_SLACK_S,
        "securityContext": pod_security(cluster),
        "tolerations": tolerations(cluster, order.workspace, order.compute, kind.tolerations),
        "initContainers": [own_container(STAGE, STAGE, cluster, mounts.shared), sidecar(cluster, mounts.shared)],
        "containers": [_main(attempt, cluster, mounts)],
        "volumes": volumes(name, shared_memory(order.shm_size), mounts),
        **{key: value for key, value in optional.items() if value},
    }


def _main(attempt: Attempt, cluster: Cluster, mounts: DataMounts) -> dict[str, Json]:
    """The user's image, whatever its entrypoint, user and working directory are."""
    kind = attempt.instance_type
    return {
        "name": MAIN,
        "image": attempt.image or user_image(attempt.launch.order.environment, cluster),
        "command": ["/bin/sh", f"{PLAN}/main.sh"],
        "workingDir": f"{FOLDER}/code",
        "resources": {"requests": kind.requests, "limits": kind.limits},
        "securityContext": user_security(cluster),
        "volumeMounts": [
            {"name": "ferry", "mountPath": FERRY},
            {"name": "plan", "mountPath": PLAN, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  a volume of its own
            *mounts.shared,
            *mounts.own,
        ],
    }


def node_selector(kind: InstanceType, cluster: Cluster) -> dict[str, str]:
    """The site's and the type's together; raises Refused when they contradict each other."""
    for key, value in kind.spec.node_selector.items():
        wanted = cluster.workload_node_selector.get(key, value)
        if wanted != value:
            raise Refused(
                "InvalidInstanceType",
                f"instance type {kind.name} wants nodes with {key}={value}, and this site runs workloads on nodes with "
                f"{key}={wanted} only",
                "Ask IT to change the type's nodeSelector or the site's workload_node_selector.",
            )
    return {**cluster.workload_node_selector, **kind.spec.node_selector}


def _queue(order: JobOrder, cluster: Cluster) -> str:
    return order.labels.get(QUEUE) or cluster.kueue_queue


def _kueue(order: JobOrder, cluster: Cluster) -> dict[str, str]:
    priority = order.labels.get(PRIORITY)
    return {QUEUE: _queue(order, cluster), **({PRIORITY: priority} if priority else {})}
