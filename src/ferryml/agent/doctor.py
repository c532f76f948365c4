"""The doctor of a cluster: is everything there that work needs; each line ok, warning or failed, with its fix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ferryml.agent.doctor_builds import ENFORCE, builds_findings
from ferryml.agent.doctor_router import router_findings
from ferryml.agent.ports import Kube
from ferryml.domain.error_catalogue import Code
from ferryml.domain.errors import FerryError, Forbidden
from ferryml.domain.explain import Facts, explain
from ferryml.domain.explain.facts import Object, name_of
from ferryml.domain.explain.places import NodeView, nodes
from ferryml.domain.instance_fit import fits, summary
from ferryml.domain.quantities import cpu_words, size_words
from ferryml.domain.spec.instance_type import DEFAULT_TYPE, InstanceType
from ferryml.domain.statuses import Finding

OLDEST = (1, 29)
SKEW_S = 30.0
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
GPU_SIGNS = (
    "nvidia.com/gpu.present",
    "feature.node.kubernetes.io/pci-10de.present",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "kubernetes.azure.com/accelerator",
    "amd.com/gpu.device-id",
)
"""Labels of nodes with GPUs, by clouds and by node feature discovery."""
NEEDS = (
    ("ferryml.dev", "mljobs", "create"),
    ("ferryml.dev", "mljobs/status", "update"),
    ("ferryml.dev", "onlineendpoints", "create"),
    ("ferryml.dev", "onlinedeployments", "create"),
    ("apps", "deployments", "create"),
    ("batch", "jobs", "create"),
    ("batch", "jobs", "delete"),
    ("", "configmaps", "create"),
    ("", "services", "create"),
    ("", "pods", "list"),
    ("", "pods/log", "get"),
    ("", "events", "list"),
    ("networking.k8s.io", "networkpolicies", "create"),
)
"""(group, resource, verb) in every namespace of a compute, and where environments are prepared."""
SYSTEM_NEEDS = (
    ("ferryml.dev", "mljobs", "create"),
    ("ferryml.dev", "mljobs/status", "update"),
    ("ferryml.dev", "onlineendpoints", "create"),
    ("", "configmaps", "create"),
    ("", "pods", "list"),
    ("apps", "deployments", "list"),
)
"""In the namespace of Ferry's own programs, where no work runs."""
CLUSTER_NEEDS = (
    ("", "nodes", "list"),
    ("ferryml.dev", "instancetypes", "list"),
    ("storage.k8s.io", "storageclasses", "list"),
)
KINDS = {
    f"{plural}.ferryml.dev": f"ferryml.dev/v1alpha1/{plural}"
    for plural in ("mljobs", "onlineendpoints", "onlinedeployments", "instancetypes")
}
DEFINITIONS = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What came of calling the server; no code: it answered."""

    code: str = ""
    message: str = ""
    skew_s: float = 0.0
    url: str = ""


@dataclass(frozen=True, slots=True)
class Wants:
    """What the doctor needs to know of the site's settings."""

    system: str = "ferry-system"
    environments: str = "ferry-environments"
    """Where environments are prepared: no key lies there."""
    namespaces: tuple[str, ...] = ()
    """Empty: all of them."""
    create_namespaces: bool = False
    pod_security: str = "baseline"
    probe: Literal["start", "asked", "never"] = "start"
    """When pods are tried."""
    inference: bool = False
    """Endpoints may be served."""
    builds: str = ""
    """Namespace in which images are built; empty: none are."""


class Doctor:
    """Looks at one cluster. Nothing here writes, save reviews; pods are the probe's.

    Args:
        types: instance types of the cluster, by name.
        server: calls Ferry's server the way the site does.
        gateway: in words, why the gateway does not answer; empty when it does or is not there yet.
        probe: findings that pods bring.
    """

    def __init__(
        self,
        kube: Kube,
        wants: Wants,
        types: Callable[[], dict[str, InstanceType]],
        server: Callable[[], ServerLook],
        gateway: Callable[[], str] = lambda: "",
        probe: Callable[[], Sequence[Finding]] = tuple,
    ) -> None:
        self._kube, self._wants, self._types = kube, wants, types
        self._server, self._gateway, self._probe = server, gateway, probe

    def examine(self, probe: bool = True) -> tuple[Finding, ...]:
        """Every check of the cluster as a whole; `probe` runs pods, too, and takes up to some minutes."""
        checks: list[Callable[[], Iterable[Finding]]] = [
            self._version,
            self._rights,
            self._definitions,
            self._environments_there,
            self._link,
            self._gateway_there,
            self._machines,
            self._storage,
            self._gpus,
        ]
        if self._wants.inference:
            checks.append(lambda: router_findings(self._kube, self._wants.system))
        if self._wants.builds:
            checks.append(lambda: builds_findings(self._kube, self._wants.builds))
        if probe:
            checks.append(self._probe)
        found: list[Finding] = []
        for check in checks:
            try:
                found += check()
            except FerryError as error:
                found.append(_untold(check.__name__.strip("_"), error))
        return tuple(found)

    def namespace(self, name: str) -> tuple[Finding, ...]:
        """What is wrong in one namespace; nothing when all is well or it is not there."""
        try:
            body = self._kube.get("v1/namespaces", name)
            if body is None:
                return ()
            return (*_state(body), *self._lacking(name), *_security(body, self._wants.pod_security))
        except Forbidden as error:
            return (
                _finding(
                    "rights",
                    "PermissionMissing",
                    "failed",
                    f"the agent may not look at namespace {name}",
                    error.message,
                    _GRANT,
                ),
            )
        except FerryError as error:
            return (_untold("namespace", error),)

    def _version(self) -> Iterator[Finding]:
        version = self._kube.version()
        if _numbers(version) < OLDEST:
            fix = "Upgrade the cluster: Ferry needs native sidecars."
            yield _finding(
                "kubernetes", "KubernetesTooOld", "failed", f"Kubernetes {version} is older than 1.29", version, fix
            )
        else:
            yield _good("kubernetes", f"Kubernetes {version}")

    def _rights(self) -> Iterator[Finding]:
        lacking = [need for need in CLUSTER_NEEDS if not self._may(*need)]
        own = filter(None, (self._wants.environments, self._wants.builds))
        here = [*self._lacking(self._wants.system, SYSTEM_NEEDS), *(one for name in own for one in self._lacking(name))]
        if lacking:
            words = ", ".join(_said(need) for need in lacking)
            yield _finding(
                "rights",
                "PermissionMissing",
                "failed",
                f"the agent may not {words}",
                "cluster-wide",
                "IT applies the ClusterRole of the chart ferry-agent.",
            )
        yield from here
        if not lacking and not here:
            yield _good(
                "rights", "the agent has its rights", f"cluster, {self._wants.system}, {self._wants.environments}"
            )

    def _environments_there(self) -> Iterator[Finding]:
        name = self._wants.environments
        body = self._kube.get("v1/namespaces", name)
        if body is None:
            fix = f"kubectl create namespace {name}, then helm upgrade: it also makes what belongs in it."
            words = f"the namespace {name}, where environments are prepared, is not there"
            yield _finding("environments", "NamespaceMissing", "failed", words, "", fix)
            return
        yield from _state(body)

    def _lacking(self, namespace: str, needs: Sequence[tuple[str, str, str]] = NEEDS) -> Iterator[Finding]:
        lacking = [need for need in needs if not self._may(*need, namespace=namespace)]
        if lacking:
            words = ", ".join(_said(need) for need in lacking)
            yield _finding(
                "rights",
                "PermissionMissing",
                "failed",
                f"the agent may not {words} in namespace {namespace}",
                f"{len(lacking)} of {len(needs)} rights",
                _GRANT,
            )

    def _may(self, group: str, resource: str, verb: str, namespace: str = "") -> bool:
        plural, _, part = resource.partition("/")
        wanted = {"group": group, "resource": plural, "verb": verb}
        wanted |= {"namespace": namespace} if namespace else {}
        wanted |= {"subresource": part} if part else {}
        kind = "authorization.k8s.io/v1/selfsubjectaccessreviews"
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        answer = self._kube.create(kind, body)
        return bool((answer.get("status") or {}).get("allowed"))

    def _definitions(self) -> Iterator[Finding]:
        definitions = "apiextensions.k8s.io/v1/customresourcedefinitions"
        missing = []
        for name in DEFINITIONS:
            try:
                there = self._kube.get(definitions, name) is not None
            except Forbidden:
                there = bool(self._kube.list(KINDS[name], self._wants.system)) or not name.startswith("mljobs")
            if not there:
                missing.append(name)
        if missing:
            fix = "IT applies deploy/crds, or installs the chart ferry-agent, which does."
            yield _finding(
                "definitions", "SiteUnhealthy", "failed", "custom resources are not defined", ", ".join(missing), fix
            )
        else:
            yield _good("definitions", "Ferry's custom resources are defined")

    def _link(self) -> Iterator[Finding]:
        look = self._server()
        found = explain(Facts(link_code=look.code, link_message=look.message, clock_skew_s=look.skew_s))
        wrong = [each for each in found if each.check != "clock.skew"]
        for each in wrong[:1]:
            yield each.model_copy(update={"check": "server", "level": "failed"})
        if look.code and not wrong:
            fix = "IT allows outbound HTTPS to the server."
            yield _finding("server", "ServerUnreachable", "failed", look.message, look.code, fix)
        if not look.code:
            yield _good("server", "the server answers", look.url)
            late = abs(look.skew_s) >= SKEW_S
            yield from (each.model_copy(update={"check": "clock"}) for each in found if each.check == "clock.skew")
            if not late:
                yield _good("clock", "the clocks agree", f"{look.skew_s:+.0f} s")

    def _gateway_there(self) -> Iterator[Finding]:
        for each in explain(Facts(gateway_down=self._gateway())):
            yield each.model_copy(update={"check": "gateway"})

    def _machines(self) -> Iterator[Finding]:
        every = nodes(self._kube.list("v1/nodes"))
        ready = [node for node in every if node.ready and not node.cordoned]
        if not ready:
            yield _finding(
                "nodes",
                "ClusterTooSmall",
                "failed",
                "no node is ready and open",
                f"{len(every)} nodes",
                "IT adds a node: kubectl get nodes.",
            )
            return
        cpu, memory = (sum(node.allocatable.get(key, 0) for node in ready) for key in ("cpu", "memory"))
        words = f"{len(ready)} of {len(every)} nodes, {cpu_words(cpu * 1000)} CPUs, {size_words(memory)}"
        yield _good("nodes", "nodes are ready", words)
        yield from self._default_type(ready)

    def _default_type(self, ready: Sequence[NodeView]) -> Iterator[Finding]:
        kind = self._types()[DEFAULT_TYPE]
        fit = fits(kind, ready, ({"operator": "Exists"},))
        if fit.ok:
            yield _good("default-type", f"the default instance type fits ({summary(kind)})", f"{len(fit.nodes)} nodes")
        else:
            fix = f"Add a larger node, or make an InstanceType named {DEFAULT_TYPE} that asks for less."
            yield _finding(
                "default-type", "ClusterTooSmall", "warning", "the default instance type fits no node", fit.why, fix
            )

    def _storage(self) -> Iterator[Finding]:
        found = self._kube.list("storage.k8s.io/v1/storageclasses")
        default = [name_of(each) for each in found if _notes(each).get(DEFAULT_CLASS) == "true"]
        if default:
            yield _good("storage", "there is a default storage class", default[0])
        elif found:
            names = ", ".join(name_of(each) for each in found)
            yield _finding(
                "storage",
                "StorageClassMissing",
                "warning",
                "no storage class is the default",
                names,
                f"kubectl annotate storageclass NAME {DEFAULT_CLASS}=true, or name one in the chart.",
            )
        else:
            fix = "IT makes one, or volumes by hand; the gateway's store can be an emptyDir."
            yield _finding("storage", "StorageClassMissing", "warning", "there is no storage class", "", fix)

    def _gpus(self) -> Iterator[Finding]:
        bodies = self._kube.list("v1/nodes")
        bare = [name_of(body) for body in bodies if _has_gpu(body) and not _offers_gpu(body)]
        offered = sum(_offers_gpu(body) for body in bodies)
        if bare:
            fix = "Install the device plugin of the GPU's maker: kubectl get daemonsets -A."
            yield _finding("gpu", "GpuPluginMissing", "warning", "nodes with GPUs offer none", ", ".join(bare[:5]), fix)
        elif offered:
            yield _good("gpu", "GPUs are offered", f"{offered} nodes")
        else:
            yield _good("gpu", "no node has a GPU")


_GRANT = (
    "IT names the namespace in `namespaces` of the chart ferry-agent and upgrades it: that applies its RoleBinding."
)


def _state(body: Object) -> Iterator[Finding]:
    if (body.get("status") or {}).get("phase") == "Terminating":
        (found,) = explain(Facts(namespace=body))[:1]
        yield found.model_copy(update={"check": "namespace"})


def _security(body: Object, ours: str) -> Iterator[Finding]:
    level = str(((body.get("metadata") or {}).get("labels") or {}).get(ENFORCE) or "")
    if level == "restricted" and ours != "restricted":
        yield _finding(
            "pod-security",
            "AdmissionDenied",
            "warning",
            f"namespace {name_of(body)} enforces Pod Security restricted",
            f"{ENFORCE}={level}",
            "Set FERRY_CLUSTER_POD_SECURITY=restricted (images must not run as root), or lower the namespace to "
            "baseline.",
        )


def _has_gpu(node: Object) -> bool:
    known = (node.get("metadata") or {}).get("labels") or {}
    return any(known.get(sign) not in (None, "", "false") for sign in GPU_SIGNS)


def _offers_gpu(node: Object) -> bool:
    (view,) = nodes((node,))
    return any("gpu" in key and value > 0 for key, value in view.allocatable.items())


def _notes(body: Object) -> dict[str, Any]:
    return dict((body.get("metadata") or {}).get("annotations") or {})


def _said(need: tuple[str, str, str]) -> str:
    return f"{need[2]} {need[1]}"


def _numbers(version: str) -> tuple[int, int]:
    major, minor = ([*version.lstrip("v").split("."), "0", "0"])[:2]
    return int("".join(filter(str.isdigit, major)) or 0), int("".join(filter(str.isdigit, minor)) or 0)


def _untold(check: str, error: FerryError) -> Finding:
    level: Literal["warning", "failed"] = "failed" if isinstance(error, Forbidden) else "warning"
    code: Code = "PermissionMissing" if level == "failed" else "Unavailable"
    return _finding(
        check, code, level, "it could not be looked at", error.message, error.hint or "Try again in a moment."
    )


def _good(check: str, cause: str, evidence: str = "") -> Finding:
    return Finding(check=check, code="Ok", level="ok", cause=cause, evidence=evidence)


def _finding(
    check: str, code: Code, level: Literal["warning", "failed"], cause: str, evidence: str, fix: str
) -> Finding:
    return Finding(check=check, code=code, level=level, cause=cause, evidence=evidence, fix=fix)
