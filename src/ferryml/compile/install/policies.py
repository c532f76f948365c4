"""Who may call Ferry's own pods: the agent nobody, the gateway only pods of Ferry's making, the router all callers."""

from __future__ import annotations

from ferryml.compile.install.kit import AGENT, GATEWAY, ROUTER, Manifest, obj
from ferryml.compile.install.programs import GATEWAY_PORT
from ferryml.compile.install.routers import DOOR_PORT, METRICS_PORT, PEER_PORT, SCORE_PORT
from ferryml.compile.install.values import AgentValues

NETWORKING = "networking.k8s.io/v1"
WORKLOAD = {"app.kubernetes.io/managed-by": "ferry"}
NAMESPACE_NAME = "kubernetes.io/metadata.name"
PREPARATION = {"ferryml.dev/kind": "preparation"}


def policies(values: AgentValues, namespace: str) -> list[Manifest]:
    """NetworkPolicies of the system namespace and of environments; those of computes are the agent's business."""
    if not values.network_policy:
        return []
    to_gateway = [{"port": GATEWAY_PORT, "protocol": "TCP"}]
    callers = [
        {"namespaceSelector": {}, "podSelector": {"matchLabels": WORKLOAD}},
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": AGENT}}},
        *([{"podSelector": {"matchLabels": {"app.kubernetes.io/name": ROUTER}}}] if values.inference.enabled else []),
    ]
    gateway = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": GATEWAY}},
    }
    nobody = {"policyTypes": ["Ingress"]}
    return [
        _policy(AGENT, namespace, {"app.kubernetes.io/name": AGENT}, nobody),
        _policy(GATEWAY, namespace, {"app.kubernetes.io/name": GATEWAY}, {
            "policyTypes": ["Ingress"], "ingress": [{"from": callers, "ports": to_gateway}],
        }),
        _policy("ferry-preparation", values.environments.namespace, PREPARATION, {
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"to": [gateway], "ports": to_gateway},
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            ],
        }),
        *([_build(values, gateway)] if values.builds.registry else []),
        *([_router(values, namespace)] if values.inference.enabled else []),
    ]  # fmt: skip


def _build(values: AgentValues, gateway: Manifest) -> Manifest:
    """As preparations, and the registry."""
    return _policy("ferry-build", values.builds.namespace, {"ferryml.dev/kind": "build"}, {
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            {"to": [gateway], "ports": [{"port": GATEWAY_PORT, "protocol": "TCP"}]},
            {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
            {"to": [{"ipBlock": {"cidr": cidr}} for cidr in values.builds.networks]},
        ],
    })  # fmt: skip


def _router(values: AgentValues, namespace: str) -> Manifest:
    """What it may call is left open: pods that serve, in any namespace of a compute, and the API server."""

    def from_pods(name: str, port: int) -> Manifest:
        caller = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}
        return {"from": [caller], "ports": [{"port": port, "protocol": "TCP"}]}

    rules: list[Manifest] = [
        {"ports": [{"port": SCORE_PORT, "protocol": "TCP"}]},
        from_pods(AGENT, DOOR_PORT),
        from_pods(ROUTER, PEER_PORT),
    ]
    if values.inference.router.metrics or values.inference.router.pod_monitor:
        rules.append({"ports": [{"port": METRICS_PORT, "protocol": "TCP"}]})
    pods = {"app.kubernetes.io/name": ROUTER}
    return _policy(ROUTER, namespace, pods, {"policyTypes": ["Ingress"], "ingress": rules})


def _policy(name: str, namespace: str, pods: dict[str, str], rules: Manifest) -> Manifest:
    return obj(NETWORKING, "NetworkPolicy", name, namespace, spec={"podSelector": {"matchLabels": pods}, **rules})
