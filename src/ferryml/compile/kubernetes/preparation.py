"""The Job that makes an environment once for a site: in the user's image, with resources of its own, on no GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferryml.compile.conda import Mapped
from ferryml.compile.environment import pypi_requirements
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.images import pull_secrets, user_image
from ferryml.compile.kubernetes.job import GRACE_SLACK_S, Manifests, config_map
from ferryml.compile.kubernetes.labels import annotations_of, labels_of
from ferryml.compile.kubernetes.names import preparation_name, preparation_uid
from ferryml.compile.kubernetes.plan import DOOR, DOOR_PORT, ENVIRONMENT, FERRY, PLAN, TOKEN
from ferryml.compile.kubernetes.pods import (
    MAIN,
    STAGE,
    own_container,
    pod_security,
    sidecar,
    tolerations,
    user_security,
    volumes,
)
from ferryml.compile.plan import STAGE_PATIENCE_S, TIMEOUT_SLACK_S
from ferryml.domain.errors import Refused
from ferryml.domain.orders import EnvironmentOrder

SERVICE_ACCOUNT = "ferry-preparation"
INDEX = f"{DOOR}/v1/packages/simple/"
CHANNELS = f"{DOOR}/v1/conda"
PACK_CPU_LIMIT = "2"

Json = Any


@dataclass(frozen=True, slots=True)
class Preparation:
    """One making of an environment; `attempt` counts up when it is tried again."""

    order: EnvironmentOrder
    attempt: int = 1


def make_preparation(preparation: Preparation, cluster: Cluster) -> Manifests:
    """ConfigMap and Job in the namespace of environments. Raises Refused BadReference or LimitExceeded."""
    order, name = preparation.order, preparation_name(preparation.order.key)
    uid = preparation_uid(order.key)
    meta = {
        "name": name, "namespace": cluster.environments_namespace,
        "labels": labels_of("preparation", uid, preparation.attempt, "", ""),
        "annotations": annotations_of(uid, order.name or order.key),
    }  # fmt: skip
    plan = preparation_plan(preparation, cluster)
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": meta,
        "spec": {
            "completionMode": "Indexed", "completions": 1, "parallelism": 1, "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": int(cluster.prepare_timeout_s) + STAGE_PATIENCE_S,
            "template": {
                "metadata": {"labels": meta["labels"], "annotations": meta["annotations"]},
                "spec": _pod(preparation, cluster, name),
            },
        },
    }  # fmt: skip
    return Manifests((config_map(meta, plan, cluster, cluster.prepare_sh), job), plan, tuple(plan["notes"]))


def preparation_plan(preparation: Preparation, cluster: Cluster) -> dict[str, Json]:
    """The content of job.json of a preparation.

    `requirements` are PyPI's lines, conda names mapped; `conda` are the lines as asked, for an image that has conda.
    `unmapped` says which of them PyPI has not: without conda in the image the preparation fails with these words.
    `lock` is installed exactly when it is given. `folder` is where the environment has to lie, here and in every pod
    that uses it.
    """
    order = preparation.order
    mapped, unmapped = _mapped(order)
    return {
        "kind": "preparation", "key": order.key, "uid": preparation_uid(order.key), "attempt": preparation.attempt,
        "gateway": cluster.gateway_url, "ca": f"{PLAN}/ca.pem", "token_file": f"{TOKEN}/token", "door_port": DOOR_PORT,
        "folder": ENVIRONMENT, "python": order.python, "python_policy": cluster.python,
        "inherit": order.inherit,
        "requirements": list(mapped.lines), "pip": list(order.pip), "conda": list(order.conda),
        "unmapped": unmapped, "channels": list(order.channels), "lock": order.lock,
        "index": INDEX, "conda_channels": CHANNELS,
        "order": order.model_dump(mode="json", exclude={"lock"}),
        "notes": list(mapped.notes), "instances": 1, "ranks": 1, "log_prefix": "",
        "timeout_s": cluster.prepare_timeout_s, "timeout_slack_s": TIMEOUT_SLACK_S,
        "stage_patience_s": STAGE_PATIENCE_S, "upload_patience_s": cluster.prepare_timeout_s,
        "flush_s": cluster.log_flush_s, "grace_s": cluster.cancel_grace_s, "max_log_bytes": cluster.max_log_bytes,
    }  # fmt: skip


def _mapped(order: EnvironmentOrder) -> tuple[Mapped, str]:
    try:
        return pypi_requirements(order), ""
    except Refused as refused:
        return Mapped((), ()), refused.message


def _pod(preparation: Preparation, cluster: Cluster, name: str) -> dict[str, Json]:
    selector = dict(cluster.workload_node_selector)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(cluster.cancel_grace_s) + GRACE_SLACK_S,
        "securityContext": pod_security(cluster),
        "tolerations": tolerations(cluster, "", ""),
        "initContainers": [own_container(STAGE, STAGE, cluster, ()), _packer(cluster)],
        "containers": [_main(preparation, cluster)],
        "volumes": volumes(name, "", None),
        **({"nodeSelector": selector} if selector else {}),
        **pull_secrets(cluster),
    }


def _packer(cluster: Cluster) -> dict[str, Json]:
    """Here `collect` packs what was made, while somebody waits for it."""
    made = sidecar(cluster, ())
    limits = {**made["resources"]["limits"], "cpu": PACK_CPU_LIMIT}
    return {**made, "resources": {**made["resources"], "limits": limits}}


def _main(preparation: Preparation, cluster: Cluster) -> dict[str, Json]:
    amounts = {"cpu": cluster.preparation_cpu, "memory": cluster.preparation_memory}
    return {
        "name": MAIN,
        "image": user_image(preparation.order, cluster),
        "command": ["/bin/sh", f"{PLAN}/main.sh"],
        "workingDir": FERRY,
        "resources": {"requests": amounts, "limits": {"memory": cluster.preparation_memory}},
        "securityContext": user_security(cluster),
        "volumeMounts": [
            {"name": "ferry", "mountPath": FERRY},
            {"name": "plan", "mountPath": PLAN, "readOnly": True},
        ],
    }
