"""What a cluster has: nodes and what is free on them, namespaces, health; looked at now and then, and when asked."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferryml.agent.doctor import Doctor, Wants
from ferryml.agent.ports import Kube
from ferryml.domain.errors import Conflict, FerryError
from ferryml.domain.explain.facts import Object, name_of
from ferryml.domain.explain.places import NodeView, nodes, requests
from ferryml.domain.statuses import Finding

log = logging.getLogger(__name__)

REFRESH_S = 60.0
"""How old namespaces and other people's pods may be in a heartbeat."""
EXAMINE_S = 900.0
"""How often the doctor looks by itself."""
PROBE_AFTER_S = 120.0
"""When pods are tried for the first time: an agent that has just started has more urgent things to do."""
MOST_NODES = 1000
"""Nodes told of one by one; a heartbeat must stay small."""
PRIVATE = ("kube-system", "kube-public", "kube-node-lease")
AGAIN_S = 2.0
OURS = "app.kubernetes.io/managed-by"
ENDED = ("Succeeded", "Failed")
KUEUE = "kueue.x-k8s.io/v1beta1/localqueues"
_NAME = re.compile(r"(?!kube-)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEYS = {
    "cpu": ("cpu_millis", 1000.0), "memory": ("memory_bytes", 1.0), "ephemeral-storage": ("disk_bytes", 1.0),
    "pods": ("pods", 1.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """The last look."""

    namespaces: tuple[str, ...] = ()
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    """By namespace."""
    taken: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """node -> what pods that are not Ferry's have been promised."""
    doctor: tuple[Finding, ...] = ()
    kueue: bool = False
    answered: str = ""
    trouble: Mapping[str, Finding] = field(default_factory=dict)
    """Namespaces that could not be made."""


class Inventory:
    """Keeps the last look, and looks anew in a thread of its own; `told` costs no request.

    Args:
        seconds: monotonic clock.
        looked: called after each look, so that a heartbeat tells of it.
    """

    def __init__(
        self, kube: Kube, wants: Wants, doctor: Doctor, seconds: Callable[[], float], looked: Callable[[], None]
    ) -> None:
        self._kube, self._wants, self._doctor = kube, wants, doctor
        self._seconds, self._looked = seconds, looked
        self._known: Known | None = None
        self._wanted = threading.Condition()
        self._questions: list[Mapping[str, Any]] = []
        self._computes: tuple[Mapping[str, Any], ...] = ()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ferry-inventory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wanted:
            self._stopping = True
            self._wanted.notify()

    def heard(self, settings: Mapping[str, Any]) -> None:
        """What the server hands down: which computes there are, and a question to be answered by a look."""
        with self._wanted:
            self._computes = tuple(each for each in settings.get("computes") or () if isinstance(each, Mapping))
            self._questions.append(settings)
            self._wanted.notify()

    def told(self, bodies: Iterable[Object], ours: Iterable[Object]) -> dict[str, Any]:
        """For a heartbeat. Nothing of namespaces and health before the first look.

        Args:
            bodies: nodes of the API.
            ours: Ferry's pods, with `requests` (base units) where they were counted already.
        """
        known = self._known
        promised = taken_by(ours, dict(known.taken) if known else {})
        made = {"nodes": [node_of(each, promised.get(each.name, {})) for each in nodes(bodies)][:MOST_NODES]}
        if known is None:
            return made
        findings = {name: [_json(each) for each in found] for name, found in known.findings.items() if found}
        for name, each in known.trouble.items():
            findings[name] = [*findings.get(name, ()), _json(each)]
        return {
            **made, "namespaces": list(known.namespaces), "namespace_findings": findings,
            "cluster_wide": not self._wants.namespaces, "create_namespaces": self._may_create(),
            "doctor": [_json(each) for each in known.doctor], "kueue": known.kueue, "answered": known.answered,
            "network_policies": _policies(known.doctor),
        }  # fmt: skip

    def taken(self) -> Mapping[str, Mapping[str, float]]:
        """node -> what other people's pods were promised, in base units, as of the last look."""
        return self._known.taken if self._known else {}

    def look(self, question: Mapping[str, Any] | None = None, examine: bool = False, probe: bool = False) -> None:
        """Look at everything once; `examine` asks the doctor, too, and `probe` lets it start pods."""
        trouble = self._made(self._computes)
        names, before = self._namespaces(), self._known or Known()
        doctor = self._doctor.examine(probe) if examine else before.doctor
        if examine and not probe:
            doctor = (*doctor, *(each for each in before.doctor if each.check in PROBED))
        if examine and self._wants.probe == "never":
            doctor = (*(each for each in doctor if each.check not in PROBED), UNTRIED)
        findings = {name: self._doctor.namespace(name) for name in self._used(names)} if examine else before.findings
        gone = {name for name, found in findings.items() if any(each.code == "NamespaceMissing" for each in found)}
        self._known = Known(
            namespaces=tuple(name for name in names if name not in gone), findings=findings, taken=self._taken(),
            doctor=doctor, kueue=self._has_kueue(names), trouble=trouble,
            answered=str((question or {}).get("ask") or before.answered),
        )  # fmt: skip

    def _run(self) -> None:
        began = self._seconds()
        examined, probed = float("-inf"), False
        while True:
            with self._wanted:
                if not self._questions and not self._stopping and self._known is not None:
                    self._wanted.wait(REFRESH_S)
                if self._stopping:
                    return
                question = self._questions[-1] if self._questions else None
                self._questions.clear()
            now = self._seconds()
            asked = bool(question and question.get("doctor"))
            again = bool(question and question.get("again"))
            probe = self._probes(asked, again, probed, question is None and now - began >= PROBE_AFTER_S)
            examine = probe or question is not None or now - examined >= EXAMINE_S
            try:
                self.look(question, examine, probe)
                examined, probed = (now if examine else examined), probed or probe
                self._looked()
            except FerryError as error:
                log.warning("the cluster could not be looked at: %s: %s", error.code, error.message)
                with self._wanted:
                    self._questions[:0] = [question] if question is not None else []
                    if not self._stopping:
                        self._wanted.wait(AGAIN_S)

    def _probes(self, asked: bool, again: bool, probed: bool, settled: bool) -> bool:
        """Whether this look makes pods: what they showed holds until somebody asks for it anew."""
        if self._wants.probe == "never":
            return False
        return (asked and (again or not probed)) or (self._wants.probe == "start" and settled and not probed)

    def _namespaces(self) -> tuple[str, ...]:
        if self._wants.namespaces:
            return tuple(name for name in self._wants.namespaces if self._is_there(name))
        bodies = self._kube.list("v1/namespaces")
        private = {*PRIVATE, self._wants.system, self._wants.environments}
        return tuple(name for body in bodies if (name := name_of(body)) not in private)

    def _used(self, names: Sequence[str]) -> list[str]:
        """Namespaces of computes, and all that were given to us: others are nobody's business."""
        used = {str(each.get("namespace")) for each in self._computes} | set(self._wants.namespaces)
        return [name for name in names if name in used]

    def _is_there(self, name: str) -> bool:
        try:
            return self._kube.get("v1/namespaces", name) is not None
        except FerryError:
            # without its RoleBinding the doctor says what is missing
            return True

    def _may_create(self) -> bool:
        return self._wants.create_namespaces and not self._wants.namespaces

    def _made(self, computes: Iterable[Mapping[str, Any]]) -> dict[str, Finding]:
        """Make what is wished for; in words, why not."""
        trouble: dict[str, Finding] = {}
        for each in computes:
            name = str(each.get("namespace") or "")
            if not each.get("create_namespace") or not self._may_create() or not _NAME.fullmatch(name):
                continue
            try:
                if self._kube.get("v1/namespaces", name) is None:
                    self._kube.create("v1/namespaces", _namespace(name))
                    log.info("made namespace %s for compute %s", name, each.get("name"))
            except Conflict:
                continue
            except FerryError as error:
                trouble[name] = Finding(
                    check="namespace", code="NamespaceMissing", cause=f"namespace {name} could not be made",
                    evidence=error.message, fix=f"kubectl create namespace {name}",
                )  # fmt: skip
        return trouble

    def _taken(self) -> dict[str, dict[str, float]]:
        places = (
            [""]
            if not self._wants.namespaces
            else [*self._wants.namespaces, self._wants.environments, self._wants.system]
        )
        pods: list[Object] = []
        for place in dict.fromkeys(places):
            try:
                pods += self._kube.list("v1/pods", place, f"{OURS}!=ferry")
            except FerryError as error:
                log.debug("pods in %s: %s", place or "the cluster", error.message)
        return taken_by(pods, {})

    def _has_kueue(self, names: Sequence[str]) -> bool:
        try:
            return any(self._kube.list(KUEUE, name) for name in names[:20])
        except FerryError:
            return False


PROBED = ("image", "dns", "network-policies")
"""Checks that only pods can make; between two probes the last word counts."""

UNTRIED = Finding(
    check="network-policies", code="NetworkPolicyNotEnforced", level="warning",
    cause="whether network policies are enforced could not be tried", evidence="cluster.doctor_probe is never",
    fix="IT sets it to asked, and asks: ferry site doctor NAME --again.",
)  # fmt: skip


def taken_by(pods: Iterable[Object], before: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """node -> what its pods have been promised, added to `before`."""
    total = {name: dict(amounts) for name, amounts in before.items()}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if not node or (pod.get("status") or {}).get("phase") in ENDED:
            continue
        mine = total.setdefault(str(node), {})
        for key, value in {**(pod.get("requests") or requests(pod)), "pods": 1.0}.items():
            mine[key] = mine.get(key, 0.0) + value
    return total


def node_of(node: NodeView, taken: Mapping[str, float]) -> dict[str, Any]:
    """One node as a heartbeat tells of it."""
    free = {key: max(0.0, value - taken.get(key, 0.0)) for key, value in node.allocatable.items()}
    labels = {key: value for key, value in node.labels.items() if not key.startswith("beta.")}
    taints = [{key: each[key] for key in ("key", "value", "effect") if each.get(key)} for each in node.taints]
    return {
        "name": node.name, "ready": node.ready, "cordoned": node.cordoned, **_flat(node.allocatable), "labels": labels,
        "taints": taints, "free": _flat(free),
    }  # fmt: skip


def _flat(amounts: Mapping[str, float]) -> dict[str, Any]:
    told: dict[str, Any] = {name: int(amounts[key] * unit) for key, (name, unit) in _KEYS.items() if key in amounts}
    return told | {"gpus": {key: int(value) for key, value in amounts.items() if "/" in key}}


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {OURS: "ferry"}}}


def _policies(found: Iterable[Finding]) -> str:
    said = next((each for each in found if each.check == "network-policies"), None)
    if said is None or "could not be tried" in said.cause:
        return "unknown"
    return "enforced" if said.level == "ok" else "ignored"


def _json(finding: Finding) -> dict[str, Any]:
    return finding.model_dump(mode="json")
