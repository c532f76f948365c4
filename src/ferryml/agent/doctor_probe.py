"""What only pods can show: that images come, names resolve, and network policies are enforced, not just taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ferryml.agent.ports import Kube
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.doctor import CLIENT, OPEN, ROLE, WALLED, client_job, name_of, policies, server_job
from ferryml.domain.errors import Conflict, FerryError
from ferryml.domain.explain import Facts, explain
from ferryml.domain.statuses import Finding

JOBS, PODS, EVENTS, POLICIES = "batch/v1/jobs", "v1/pods", "v1/events", "networking.k8s.io/v1/networkpolicies"
NAMES = ("kubernetes.default.svc",)
STEP_S = 0.5
START_S = 90.0
"""Time for pods to start, pulling the image included."""
TALK_S = 60.0
STUCK = (
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, handed in."""

    seconds: Callable[[], float]
    """Monotonic."""
    pause: Callable[[float], None]


class Probe:
    """Runs three small pods in the namespace of environments and takes them away again."""

    def __init__(self, kube: Kube, cluster: Cluster, clock: Clock) -> None:
        self._kube, self._cluster, self._clock = kube, cluster, clock
        self._namespace = cluster.environments_namespace

    def findings(self) -> tuple[Finding, ...]:
        """Of image, dns and network policies; what could not be tried is a warning."""
        try:
            self._sweep()
            return tuple(self._tried())
        except FerryError as error:
            return (
                _finding(
                    "image",
                    "SiteUnhealthy",
                    "warning",
                    "the probe's pods could not be made",
                    error.message,
                    error.hint or "IT gives the agent its RoleBinding in the namespace of environments.",
                ),
            )
        finally:
            self._sweep(quietly=True)

    def _tried(self) -> Iterator[Finding]:
        for body in policies(self._namespace):
            self._make(POLICIES, body)
        for role in (OPEN, WALLED):
            self._make(JOBS, server_job(role, self._cluster, NAMES))
        began = self._clock.seconds()
        pods = {role: self._awaited(role, _runs, began + START_S) for role in (OPEN, WALLED)}
        lame = next((pod for pod in pods.values() if not _runs(pod)), None)
        if lame is not None:
            yield from self._why(lame)
            return
        yield _good("image", "the runner's image comes and starts", f"{self._clock.seconds() - began:.0f} s")
        said = self._last_line(pods[OPEN])
        missing = {name: why for name, why in said.items() if why is not True}
        if missing:
            yield _finding(
                "dns",
                "DnsFailed",
                "failed",
                f"a pod cannot find {', '.join(missing)}",
                str(next(iter(missing.values()))),
                "IT checks the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns.",
            )
        elif said:
            yield _good("dns", "a pod finds names of the cluster", ", ".join(NAMES))
        addresses = [str((pods[role].get("status") or {}).get("podIP")) for role in (OPEN, WALLED)]
        self._make(JOBS, client_job(self._cluster, *addresses))
        yield policy_finding(self._last_line(self._awaited(CLIENT, _ended, self._clock.seconds() + TALK_S)))

    def _awaited(self, role: str, good: Callable[[Mapping[str, Any]], bool], until: float) -> Mapping[str, Any]:
        while True:
            found = self._kube.list(PODS, self._namespace, f"{ROLE}={role}")
            pod: Mapping[str, Any] = found[0] if found else {}
            if (pod and (good(pod) or _ended(pod) or _stuck(pod))) or self._clock.seconds() >= until:
                return pod
            self._clock.pause(STEP_S)

    def _why(self, pod: Mapping[str, Any]) -> Iterator[Finding]:
        """The explainer knows why a pod does not start."""
        name = str((pod.get("metadata") or {}).get("name") or "")
        about = {name, *(name_of(role) for role in (OPEN, WALLED))}
        events = tuple(
            event
            for event in self._kube.list(EVENTS, self._namespace)
            if (event.get("involvedObject") or {}).get("name") in about
        )
        found = explain(Facts(pods=(pod,) if pod else (), events=events, waited_s=START_S))
        for each in found[:2]:
            yield each.model_copy(update={"check": "image", "level": "failed"})
        if not found:
            yield _finding(
                "image",
                "ContainerCannotStart",
                "failed",
                f"a pod of {self._cluster.runner_image} did not start in time",
                f"{START_S:.0f} s",
                "IT looks at it: kubectl describe pod -n " + self._namespace,
            )

    def _last_line(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        name = str((pod.get("metadata") or {}).get("name") or "")
        until = self._clock.seconds() + TALK_S
        while name:
            lines = self._kube.log(name, self._namespace, "main").strip().splitlines()
            for line in lines:
                if line.startswith("{"):
                    told: dict[str, Any] = json.loads(line)
                    return told
            if _ended(pod) or self._clock.seconds() >= until:
                break
            self._clock.pause(STEP_S)
        return {}

    def _make(self, kind: str, body: Mapping[str, Any]) -> None:
        until = self._clock.seconds() + TALK_S
        while True:
            try:
                self._kube.create(kind, body, self._namespace)
                return
            except Conflict:
                # an earlier probe is still being removed
                if self._clock.seconds() >= until:
                    raise
                self._clock.pause(STEP_S)

    def _sweep(self, quietly: bool = False) -> None:
        for role in (OPEN, WALLED, CLIENT):
            for kind in (JOBS, POLICIES):
                try:
                    self._kube.delete(kind, name_of(role), self._namespace)
                except FerryError:
                    if not quietly:
                        raise


def policy_finding(said: Mapping[str, Any]) -> Finding:
    """Whether network policies are enforced, as a pod has seen it."""
    code, check = "NetworkPolicyNotEnforced", "network-policies"
    if not said.get("open"):
        return _finding(
            check,
            code,
            "warning",
            "whether network policies are enforced could not be tried",
            "a pod did not reach another one that lets everyone in",
            "IT checks the network plugin (CNI) of the nodes.",
        )
    ways = [way for way, key in (("ingress", "walled"), ("egress", "outside")) if said.get(key)]
    if not ways:
        return _good(check, "network policies are enforced", "a pod was kept from another one and from outside")
    return _finding(
        check,
        code,
        "warning",
        f"the cluster takes network policies and does not enforce them ({' and '.join(ways)})",
        "a pod reached what a policy forbids",
        "Computes are isolated by names and rights only; install a network plugin that enforces policies (Calico, "
        "Cilium).",
    )


def _runs(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def _stuck(pod: Mapping[str, Any]) -> bool:
    """The kubelet has tried more than once, or will not try at all."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    states = ((each.get("state") or {}).get("waiting") or {} for each in containers)
    return any(state.get("reason") in STUCK for state in states)


def _ended(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _good(check: str, cause: str, evidence: str = "") -> Finding:
    return Finding(check=check, code="Ok", level="ok", cause=cause, evidence=evidence)


def _finding(check: str, code: str, level: Any, cause: str, evidence: str, fix: str) -> Finding:
    return Finding(check=check, code=code, level=level, cause=cause, evidence=evidence, fix=fix)
