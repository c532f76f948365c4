"""Who of Ferry may do what in a cluster: one small fixed ClusterRole, one binding per namespace, secrets by name."""

from __future__ import annotations

from ferryml.compile.install.kit import (
    AGENT,
    AGENT_KEY,
    BUILD,
    GATEWAY,
    GATEWAY_KEY,
    JOIN,
    PREPARATION,
    ROUTER,
    ROUTER_DOOR,
    ROUTER_KEY,
    ROUTER_TABLE,
    SITE,
    Manifest,
    obj,
    role_name,
)
from ferryml.compile.install.values import AgentValues
from ferryml.domain.errors import Refused

RBAC, RBAC_GROUP = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
OUR_DEFINITIONS = (
    "mljobs.ferryml.dev", "onlineendpoints.ferryml.dev", "onlinedeployments.ferryml.dev", "instancetypes.ferryml.dev",
)  # fmt: skip
READ = ("get", "list", "watch")
WRITE = ("get", "list", "watch", "create", "update", "patch", "delete")
KEEP = ("get", "update", "patch")
"""Of objects that the installation makes, empty, so that nobody needs the right to create them."""


def rule(group: str, resources: tuple[str, ...], verbs: tuple[str, ...], names: tuple[str, ...] = ()) -> Manifest:
    """One rule of a Role."""
    named = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": list(resources), **named, "verbs": list(verbs)}


CLUSTER_RULES = (
    rule("", ("nodes",), READ),
    rule("ferryml.dev", ("instancetypes",), READ),
    rule("amlarc.azureml.com", ("instancetypes",), READ),
    rule("storage.k8s.io", ("storageclasses",), READ),
    rule("scheduling.k8s.io", ("priorityclasses",), READ),
    rule("node.k8s.io", ("runtimeclasses",), READ),
    rule("apiextensions.k8s.io", ("customresourcedefinitions",), ("get",), OUR_DEFINITIONS),
    rule("metrics.k8s.io", ("nodes",), ("get", "list")),
)
"""What the agent sees of the cluster as a whole."""
SERVED = rule(
    "ferryml.dev", ("onlineendpoints", "onlineendpoints/status", "onlinedeployments", "onlinedeployments/status"), WRITE
)
WORK_RULES = (
    rule("", ("namespaces",), ("get",)),
    rule("ferryml.dev", ("mljobs", "mljobs/status"), WRITE),
    SERVED,
    rule("apps", ("deployments",), WRITE),
    rule("batch", ("jobs",), WRITE),
    rule("", ("configmaps", "services"), WRITE),
    rule("networking.k8s.io", ("networkpolicies",), WRITE),
    rule("policy", ("poddisruptionbudgets",), ("get", "list", "create", "patch", "delete")),
    rule("", ("pods",), (*READ, "delete")),
    rule("", ("pods/log",), ("get",)),
    rule("", ("events",), (*READ, "create", "patch")),
    rule("", ("persistentvolumeclaims", "resourcequotas", "limitranges", "serviceaccounts"), READ),
    rule("kueue.x-k8s.io", ("localqueues", "workloads"), READ),
    rule("metrics.k8s.io", ("pods",), ("get", "list")),
)
"""What the agent does in a namespace that it was given."""
CONNECT_RULE = rule("", ("pods/exec",), ("get", "create"))
"""Beside, where people may open shells: which verb a WebSocket needs depends on the cluster's version."""
SYSTEM_RULES = (
    rule("ferryml.dev", ("mljobs", "mljobs/status"), WRITE),
    SERVED,
    rule("", ("configmaps",), WRITE),
    rule("", ("pods",), READ),
    rule("batch", ("jobs",), READ),
    rule("apps", ("deployments",), READ),
)
"""What it does beside its own programs: it remembers orders there, and makes no pod, for pods can mount Secrets."""
EVERYWHERE_RULES = (rule("", ("namespaces",), (*READ, "create")),)
"""In cluster-wide mode, beside."""
ROUTER_RULES = (rule("discovery.k8s.io", ("endpointslices",), READ),)
"""Of the router in a namespace where endpoints may be: which pods take requests."""
ROUTERS_OPERATOR = (
    rule("", ("secrets",), KEEP, (ROUTER_TABLE,)),
    rule("", ("secrets",), ("get",), (ROUTER_DOOR,)),
    rule("", ("services",), ("get",), (ROUTER,)),
    rule("discovery.k8s.io", ("endpointslices",), READ),
)
"""The agent, beside, where there are routers: it writes their table, asks them, and learns where callers reach them."""
GATEWAY_CLUSTER_RULES = (rule("authentication.k8s.io", ("tokenreviews",), ("create",)),)


def accounts(values: AgentValues, namespace: str) -> list[Manifest]:
    """Each program has credentials of its own; preparations and builds have accounts that may do nothing."""
    builds = [obj("v1", "ServiceAccount", BUILD, values.builds.namespace, automountServiceAccountToken=False)]
    return [
        *([obj("v1", "ServiceAccount", ROUTER, namespace)] if values.inference.enabled else []),
        obj("v1", "ServiceAccount", AGENT, namespace),
        obj("v1", "ServiceAccount", GATEWAY, namespace),
        obj("v1", "ServiceAccount", PREPARATION, values.environments.namespace, automountServiceAccountToken=False),
        *(builds if values.builds.registry else []),
    ]


def access(values: AgentValues, namespace: str) -> list[Manifest]:
    """Every role and binding of a site that lives in `namespace`."""
    cluster, work, gateway = (role_name(namespace, part) for part in ("cluster", "work", "gateway"))
    return [
        _cluster_role(cluster, (*CLUSTER_RULES, *(EVERYWHERE_RULES if values.cluster_wide else ()))),
        _cluster_binding(cluster, AGENT, namespace),
        _cluster_role(work, (*WORK_RULES, *((CONNECT_RULE,) if values.connect.enabled else ()))),
        *_work_bindings(values, namespace, work),
        _cluster_role(gateway, GATEWAY_CLUSTER_RULES),
        _cluster_binding(gateway, GATEWAY, namespace),
        *_own(AGENT, namespace, (
            rule("", ("secrets",), (*KEEP, "delete"), (AGENT_KEY, JOIN)),
            *SYSTEM_RULES,
            rule("coordination.k8s.io", ("leases",), KEEP, (AGENT,)),
            *(ROUTERS_OPERATOR if values.inference.enabled else ()),
        )),
        *_own(GATEWAY, namespace, (
            rule("", ("secrets",), KEEP, (GATEWAY_KEY,)),
            *((rule("", ("secrets",), ("get",), values.gateway.secrets),) if values.gateway.secrets else ()),
            rule("", ("configmaps",), KEEP, (GATEWAY,)),
            rule("", ("configmaps",), READ, (SITE,)),
        )),
        *(_router(values, namespace) if values.inference.enabled else ()),
    ]  # fmt: skip


def work_namespaces(values: AgentValues, namespace: str) -> tuple[str, ...]:
    """Where the agent works, all namespaces of cluster-wide mode apart. Raises Refused for the one of its own keys."""
    builds = (values.builds.namespace,) if values.builds.registry else ()
    ours = (values.environments.namespace, *builds)
    named = () if values.cluster_wide else values.namespaces
    if namespace in (*ours, *named):
        raise Refused(
            "BadValue", f"{namespace} holds the keys of agent and gateway: no work may run in it",
            "Give computes, environments and builds namespaces of their own.",
        )  # fmt: skip
    if builds and builds[0] in (values.environments.namespace, *named):
        raise Refused(
            "BadValue", f"{builds[0]} is for builds, whose pods have more rights and the registry's password",
            "Give builds a namespace of their own (builds.namespace).",
        )  # fmt: skip
    return (*ours, *(name for name in named if name not in ours))


def _router(values: AgentValues, namespace: str) -> list[Manifest]:
    role, account = role_name(namespace, "router"), (ROUTER, namespace)
    bindings = (
        [_cluster_binding(role, ROUTER, namespace)]
        if values.cluster_wide
        else [
            _binding(role, one, "ClusterRole", role, account) for one in dict.fromkeys((namespace, *values.namespaces))
        ]
    )
    tls = values.inference.tls_secret
    return [
        _cluster_role(role, ROUTER_RULES),
        *bindings,
        *_own(ROUTER, namespace, (
            rule("", ("secrets",), READ, (ROUTER_TABLE,)),
            rule("", ("secrets",), KEEP, (ROUTER_KEY, ROUTER_DOOR)),
            *((rule("", ("secrets",), ("get",), (tls,)),) if tls else ()),
        )),
    ]  # fmt: skip


def _work_bindings(values: AgentValues, namespace: str, role: str) -> list[Manifest]:
    names = work_namespaces(values, namespace)
    if values.cluster_wide:
        return [_cluster_binding(role, AGENT, namespace)]
    return [_binding(role, where, "ClusterRole", role, (AGENT, namespace)) for where in names]


def _cluster_role(name: str, rules: tuple[Manifest, ...]) -> Manifest:
    return obj(RBAC, "ClusterRole", name, rules=list(rules))


def _cluster_binding(name: str, account: str, namespace: str) -> Manifest:
    return obj(
        RBAC, "ClusterRoleBinding", name,
        roleRef={"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name}, subjects=[_subject(account, namespace)],
    )  # fmt: skip


def _own(account: str, namespace: str, rules: tuple[Manifest, ...]) -> list[Manifest]:
    role = obj(RBAC, "Role", account, namespace, rules=list(rules))
    return [role, _binding(account, namespace, "Role", account, (account, namespace))]


def _binding(name: str, where: str, kind: str, role: str, account: tuple[str, str]) -> Manifest:
    return obj(
        RBAC, "RoleBinding", name, where,
        roleRef={"apiGroup": RBAC_GROUP, "kind": kind, "name": role}, subjects=[_subject(*account)],
    )  # fmt: skip


def _subject(account: str, namespace: str) -> Manifest:
    return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
