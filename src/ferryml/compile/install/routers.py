"""The router of a site: HAProxy with sidecar and tap in each pod, its Services, and what keeps enough of them up."""

from __future__ import annotations

from collections.abc import Mapping

from ferryml.compile.install.config import text
from ferryml.compile.install.kit import GATEWAY, PART_OF, PEERS, ROUTER, Manifest, obj, pod, restricted
from ferryml.compile.install.programs import GATEWAY_PORT
from ferryml.compile.install.values import AgentValues, Resources, Scalar, image
from ferryml.compile.kubernetes.pods import ONE_BY_ONE

SCORE_PORT, PEER_PORT, DOOR_PORT, METRICS_PORT = 8080, 9401, 9402, 9403
FOLDER = "/run/ferry-router"
GATEWAY_FOLDER = "/var/run/ferry/gateway"
"""Its certificate's authority, and a token that opens nothing but its door for pods."""
TOKEN_LIFE_S = 3600
CNAME = "ferryml.dev/cname"
LEAVE_S = 5
"""Until load balancers and proxies have heard that a pod leaves, it still takes requests."""
GRACE_S = 330
"""Beyond the longest request."""
_SELECTOR = {"app.kubernetes.io/name": ROUTER}
_LEAVE = (
    "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(2); "
    f's.connect("{FOLDER}/run/admin.sock"); s.sendall(b"add map {FOLDER}/files/maps/state leaving 1\\n"); '
    f"s.recv(99)'; sleep {LEAVE_S}"
)
"""Says that this HAProxy ends without a successor, as it does for those that read their files anew."""
_HAPROXY = (
    'trap "over=1; kill -USR1 \\$child 2>/dev/null" TERM; '
    f'until [ "$over" ] || [ -s {FOLDER}/files/haproxy.cfg ]; do sleep 0.1; done; [ -z "$over" ] || exit 0; '
    f"/usr/sbin/haproxy -W -S {FOLDER}/run/master.sock,mode,600,level,admin -f {FOLDER}/files/haproxy.cfg & child=$!; "
    '[ "$over" ] || wait $child; code=$?; [ "$over" ] || exit $code; '
    "while kill -USR1 $child 2>/dev/null; do sleep 0.5; done; wait $child"
)
"""A shell stands before it: told to end before a table came it goes at once, else HAProxy finishes what it has.

It is told so again and again, for a master that is reading its files anew forgets what it was told meanwhile. And no
hook looks on from within until it has ended: runtimes may lose such a hook. Either way a pod would wait out its grace.
"""
_KEEP = (
    'trap "over=1; kill -TERM \\$child 2>/dev/null" TERM; '
    'until [ "$over" ]; do ferry router {name} & child=$!; [ -z "$over" ] || kill -TERM $child; '
    'wait $child; [ "$over" ] || sleep 0.5; done; wait'
)
"""Begins it anew within the container: one that is restarted by kubelet takes the whole pod out of the Service."""


def routers(values: AgentValues, namespace: str, version: str) -> list[Manifest]:
    """Nothing unless endpoints may be served here."""
    if not values.inference.enabled:
        return []
    return [
        obj("apps/v1", "Deployment", ROUTER, namespace, spec=_deployment(values, namespace, version)),
        _service(values, namespace),
        obj("v1", "Service", PEERS, namespace, spec={
            "clusterIP": "None", "selector": _SELECTOR,
            "ports": [
                {"name": name, "port": port, "targetPort": name}
                for name, port in (("peers", PEER_PORT), ("door", DOOR_PORT), ("metrics", METRICS_PORT))
            ],
        }),
        *_budget(values, namespace),
        *_monitor(values, namespace),
    ]  # fmt: skip


def _deployment(values: AgentValues, namespace: str, version: str) -> Manifest:
    router = values.inference.router
    base: Manifest = {
        "image": image(values.images, values.images.router, version),
        "imagePullPolicy": values.images.pull_policy,
    }
    mounts = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the pod's own
        {"name": "router", "mountPath": FOLDER},
    ]
    spec = pod(values, ROUTER, {**base, **_haproxy(values), "volumeMounts": mounts[1:]}, [
        {"name": "tmp", "emptyDir": {}}, {"name": "router", "emptyDir": {}}, _gateway(),
    ], replaced=True)  # fmt: skip
    sidecar, tap = ({**base, **one, "volumeMounts": mounts} for one in _beside(values, namespace))
    # what was recorded is handed over by the tap
    tap["volumeMounts"] = [*mounts, {"name": "gateway", "mountPath": GATEWAY_FOLDER, "readOnly": True}]
    beside = (sidecar, tap)
    spec["initContainers"] = [{**one, "securityContext": restricted()} for one in beside]
    spec["terminationGracePeriodSeconds"] = GRACE_S
    if router.replicas > 1:
        apart = {"labelSelector": {"matchLabels": _SELECTOR}, "topologyKey": "kubernetes.io/hostname"}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    one = router.replicas == 1
    return {
        "replicas": router.replicas,
        "strategy": {"rollingUpdate": {"maxSurge": int(one), "maxUnavailable": int(not one)}},
        "selector": {"matchLabels": _SELECTOR},
        "template": {"metadata": {"labels": {**_SELECTOR, **PART_OF}, **_notes(values)}, "spec": spec},
    }


def _haproxy(values: AgentValues) -> Manifest:
    scheme = "HTTPS" if values.inference.tls_secret else "HTTP"
    return {
        "name": "haproxy",
        "command": ["sh", "-c", _HAPROXY],
        "ports": [{"name": "score", "containerPort": SCORE_PORT}, {"name": "peers", "containerPort": PEER_PORT}],
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", _LEAVE]}}},
        "startupProbe": _probe("/healthz", "score", scheme, periodSeconds=1, failureThreshold=600),
        "livenessProbe": _probe("/healthz", "score", scheme, periodSeconds=10, failureThreshold=6),
        "readinessProbe": _probe("/readyz", "score", scheme, periodSeconds=2, failureThreshold=2),
        "resources": _resources(values.inference.router.resources),
    }


def _beside(values: AgentValues, namespace: str) -> tuple[Manifest, Manifest]:
    """They begin before HAProxy and end after it (native sidecars), so that its last counts are read."""
    router = values.inference.router
    env = _environment(values, namespace)
    sidecar = {
        "name": "sidecar",
        "restartPolicy": "Always",
        "command": ["sh", "-c", _KEEP.format(name="sidecar")],
        "env": env,
        "ports": [{"name": "door", "containerPort": DOOR_PORT}, {"name": "metrics", "containerPort": METRICS_PORT}],
        "startupProbe": _probe("/healthz", "metrics", "HTTP", periodSeconds=1, failureThreshold=120),
        "livenessProbe": _probe("/healthz", "metrics", "HTTP", periodSeconds=10, failureThreshold=6),
        "resources": _resources(router.sidecar_resources),
    }
    tap = {
        "name": "tap",
        "restartPolicy": "Always",
        "command": ["sh", "-c", _KEEP.format(name="tap")],
        "env": env,
        "resources": _resources(router.tap_resources),
    }
    return sidecar, tap


def _gateway() -> Manifest:
    """Its ConfigMap is filled when it has begun; a router does not wait for that."""
    authority = {"name": GATEWAY, "optional": True, "items": [{"key": "ca.pem", "path": "ca.pem"}]}
    token = {"path": "token", "audience": "ferry-gateway", "expirationSeconds": TOKEN_LIFE_S}
    return {"name": "gateway", "projected": {"sources": [{"configMap": authority}, {"serviceAccountToken": token}]}}


def _environment(values: AgentValues, namespace: str) -> list[Manifest]:
    inference = values.inference
    said: dict[str, Scalar] = {f"FERRY_ROUTER_{name.upper()}": value for name, value in values.router.items()}
    said |= {
        "FERRY_ROUTER_IN_CLUSTER": True,
        "FERRY_ROUTER_FOLDER": FOLDER,
        "FERRY_ROUTER_BIND": f"0.0.0.0:{SCORE_PORT}",
        "FERRY_ROUTER_DOOR_BIND": f"0.0.0.0:{DOOR_PORT}",
        "FERRY_ROUTER_METRICS_BIND": f"0.0.0.0:{METRICS_PORT}",
        "FERRY_ROUTER_PEER_BIND": f"0.0.0.0:{PEER_PORT}" if inference.router.replicas > 1 else "",
        "FERRY_ROUTER_TLS_SECRET": inference.tls_secret,
        "FERRY_ROUTER_CERTIFICATE_NAME": inference.tls.cname if inference.tls_secret else "",
        "FERRY_ROUTER_ALLOW_INSECURE": inference.allow_insecure_connections,
        "FERRY_ROUTER_CORS_ORIGINS": " ".join(inference.cors_origins),
        "FERRY_ROUTER_COLLECT_URL": f"https://{GATEWAY}.{namespace}.svc:{GATEWAY_PORT}",
        "FERRY_ROUTER_COLLECT_CA_FILE": f"{GATEWAY_FOLDER}/ca.pem",
        "FERRY_ROUTER_COLLECT_TOKEN_FILE": f"{GATEWAY_FOLDER}/token",
        "FERRY_CLUSTER_SYSTEM_NAMESPACE": namespace,
        "FERRY_CLUSTER_NAMESPACES": "" if values.cluster_wide else ",".join(values.namespaces),
        "FERRY_LOG_LEVEL": values.log_level,
    }
    named: list[Manifest] = [{"name": name, "value": text(said[name])} for name in sorted(said)]
    return [*named, {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]


def _service(values: AgentValues, namespace: str) -> Manifest:
    asked, secret = values.inference.router.service, values.inference.tls_secret
    port: Manifest = {
        "name": "https" if secret else "http", "port": asked.port or (443 if secret else 80), "targetPort": "score",
    }  # fmt: skip
    if asked.node_port:
        port["nodePort"] = asked.node_port
    ranges = {"loadBalancerSourceRanges": list(asked.source_ranges)} if asked.source_ranges else {}
    spec = {"type": asked.type, "selector": _SELECTOR, "ports": [port], **ranges}
    made = obj("v1", "Service", ROUTER, namespace, spec=spec)
    notes = {**asked.annotations, **({CNAME: values.inference.tls.cname} if values.inference.tls.cname else {})}
    if notes:
        made["metadata"]["annotations"] = notes
    return made


def _budget(values: AgentValues, namespace: str) -> list[Manifest]:
    """Draining a node takes one router at a time; a single one may go, for else no node could be drained."""
    if values.inference.router.replicas == 1:
        return []
    spec = {**ONE_BY_ONE, "selector": {"matchLabels": _SELECTOR}}
    return [obj("policy/v1", "PodDisruptionBudget", ROUTER, namespace, spec=spec)]


def _monitor(values: AgentValues, namespace: str) -> list[Manifest]:
    if not values.inference.router.pod_monitor:
        return []
    spec = {"selector": {"matchLabels": _SELECTOR}, "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics"}]}
    return [obj("monitoring.coreos.com/v1", "PodMonitor", ROUTER, namespace, spec=spec)]


def _notes(values: AgentValues) -> Mapping[str, Mapping[str, str]]:
    router = values.inference.router
    if not (router.metrics or router.pod_monitor):
        return {}
    return {"annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": str(METRICS_PORT)}}


def _probe(path: str, port: str, scheme: str, **more: int) -> Manifest:
    return {"httpGet": {"path": path, "port": port, "scheme": scheme}, "timeoutSeconds": 5, **more}


def _resources(asked: Resources) -> Manifest:
    return {"requests": asked.requests.model_dump(), "limits": asked.limits.model_dump()}
