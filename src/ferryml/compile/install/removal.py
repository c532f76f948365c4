"""The end of an installation: a Job that stops the agent and takes away what it made for its users."""

from __future__ import annotations

from ferryml.compile.install.access import OUR_DEFINITIONS, RBAC, RBAC_GROUP, rule, work_namespaces
from ferryml.compile.install.kit import AGENT, PART_OF, Manifest, obj, pod, role_name
from ferryml.compile.install.values import AgentValues, image

NAME = "ferry-uninstall"
HOOKS = ("python", "-m", "ferryml.bootstrap.cluster_hooks")
LIMIT_S = 280


def removal(values: AgentValues, namespace: str, version: str) -> list[Manifest]:
    """It runs as the agent, whose rights in users' namespaces it needs, and needs no server."""
    return [*_rights(values, namespace), _job(values, namespace, version)]


def _job(values: AgentValues, namespace: str, version: str) -> Manifest:
    where = [] if values.cluster_wide else ["--namespaces", ",".join(work_namespaces(values, namespace))]
    container = {
        "name": "hook",
        "image": image(values.images, values.images.agent, version),
        "imagePullPolicy": values.images.pull_policy,
        "command": [*HOOKS, "remove", "--system", namespace, *where, *(["--purge"] if values.purge else [])],
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  the pod's own
    }
    spec = pod(values, AGENT, container, [{"name": "tmp", "emptyDir": {}}]) | {"restartPolicy": "Never"}
    template = {"metadata": {"labels": {"app.kubernetes.io/name": NAME, **PART_OF}}, "spec": spec}
    return obj(
        "batch/v1", "Job", NAME, namespace,
        spec={"backoffLimit": 2, "activeDeadlineSeconds": LIMIT_S, "template": template},
    )  # fmt: skip


def _rights(values: AgentValues, namespace: str) -> list[Manifest]:
    agent = [{"kind": "ServiceAccount", "name": AGENT, "namespace": namespace}]
    made = [
        obj(RBAC, "Role", NAME, namespace, rules=[
            rule("apps", ("deployments",), ("get", "patch"), (AGENT,)), rule("", ("pods",), ("delete",)),
        ]),
        obj(
            RBAC, "RoleBinding", NAME, namespace,
            roleRef={"apiGroup": RBAC_GROUP, "kind": "Role", "name": NAME}, subjects=agent,
        ),
    ]  # fmt: skip
    if not values.purge:
        return made
    wide = role_name(namespace, "uninstall")
    rules = [rule("apiextensions.k8s.io", ("customresourcedefinitions",), ("delete",), OUR_DEFINITIONS)]
    binding = obj(
        RBAC, "ClusterRoleBinding", wide,
        roleRef={"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": wide}, subjects=agent,
    )  # fmt: skip
    return [*made, obj(RBAC, "ClusterRole", wide, rules=rules), binding]
