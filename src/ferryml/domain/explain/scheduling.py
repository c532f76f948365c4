"""Why no node takes a pod: the scheduler's own count of reasons, with the figures of the nodes beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ferryml.domain.explain.clues import Clue
from ferryml.domain.explain.facts import Facts, Object, condition, name_of
from ferryml.domain.explain.kit import Lead, Level, Look, Rule, first, lead
from ferryml.domain.explain.places import (
    DISK,
    NodeView,
    freest,
    largest,
    nodes,
    repels,
    requests,
    selects,
    taint_words,
)
from ferryml.domain.quantities import resource_words

_COUNTED = re.compile(r"(\d+)/(\d+) nodes are available: (.*?)(?:\. (?:preemption:|no new claims)|\.?\s*$)", re.DOTALL)
_REASON = re.compile(r"^(\d+) (.*)$", re.DOTALL)
_NAMES = {"cpu": "cpu", "memory": "memory", DISK: "disk"}
_WHAT = {"cpu": "CPU", "memory": "memory", DISK: "ephemeral storage"}
_NODE_TROUBLE = re.compile(r"node\.kubernetes\.io/(not-ready|unreachable|network-unavailable|out-of-service)")
_PRESSURE = re.compile(r"node\.kubernetes\.io/(disk|memory|pid)-pressure")


@dataclass(frozen=True, slots=True)
class Case:
    """One reason of the scheduler: how many of how many nodes it excludes."""

    facts: Facts
    clue: Clue
    pod: Object
    count: int
    of: int
    words: str

    def rank(self, order: int) -> int:
        """The scheduler asks its filters in turn and counts a node under the first that says no: nodes that came
        further are nearer to taking the pod, so what they lack stands first (order 8), a wrong label last (order 0).
        """
        return 90 + (8 if self.count == self.of else order)

    def lead(self, name: str, cause: str, fix: str, order: int, level: Level = "failed") -> Lead:
        """One reason in words."""
        check = f"unschedulable.{name}"
        return lead(check, "PodUnschedulable", cause, self.clue.quoted(), fix, self.rank(order), level)

    @property
    def share(self) -> str:
        return f"{self.count} of {self.of} nodes"


def unschedulable(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """One lead for each reason that the scheduler counted."""
    found = first(said, {"scheduling": r"^Unschedulable"}) or first(said, {"event": r"^FailedScheduling"})
    if found is None:
        return
    clue, counted = found[0], _COUNTED.search(found[0].text)
    if counted is None:
        return
    pod = _pod_of(facts, clue)
    for part in re.split(r", (?=\d+ )", counted[3]):
        if reason := _REASON.match(part.strip()):
            case = Case(facts, clue, pod, int(reason[1]), int(counted[2]), reason[2].strip())
            made = _lead_of(case)
            if made is not None:
                yield made


def too_big(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The pod asks for more of something than the largest node has: waiting will not help."""
    every = nodes(facts.nodes)
    if not every or facts.autoscaled or not any(clue.kind in ("scheduling", "event") for clue in said):
        return
    waits = [pod for pod in facts.pods if condition(pod, "PodScheduled").get("status") == "False"]
    for resource, wanted in (requests(waits[0]) if waits else {}).items():
        most = largest(every, resource)
        if resource in ("cpu", "memory", DISK) and wanted > most > 0:
            asked, has = _say(resource, wanted), _say(resource, most)
            yield lead(
                "type.fits-no-node",
                "InvalidInstanceType",
                f"no node can ever hold it: a pod asks for {asked}, and the largest node has {has}",
                f"instance type {facts.instance_type or 'defaultinstancetype'}; {len(every)} nodes",
                "Choose a smaller instance type (`ferry instance-type list`), or add a larger node.",
                100,
            )
            return


def no_scheduler(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """A pod that no scheduler has looked at."""
    for pod in facts.pods:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        looked = condition(pod, "PodScheduled") or spec.get("nodeName") or status.get("containerStatuses")
        looked = looked or spec.get("schedulingGates")
        if status.get("phase") == "Pending" and not looked and facts.waited_s > 15:
            name = spec.get("schedulerName") or "default-scheduler"
            yield lead(
                "scheduler.silent",
                "PodUnschedulable",
                f"no scheduler named {name} has looked at the pod",
                f"pod {name_of(pod)} has no PodScheduled condition after {facts.waited_s:.0f} s",
                f"Check that {name} runs, or correct FERRY_CLUSTER_SCHEDULER_NAME.",
                85,
            )
            return


def _lead_of(case: Case) -> Lead | None:
    words = case.words
    if found := re.match(r"Insufficient (\S+)", words):
        return _insufficient(case, found[1].rstrip("."))
    if "untolerated taint" in words:
        return _tainted(case)
    if "affinity/selector" in words:
        return _unselected(case)
    for each in PLAIN:
        if re.search(each.says, words):
            return case.lead(each.name, f"{case.share} {each.cause}", each.fix, each.order)
    fix = "Ask IT what this reason of the scheduler means in this cluster."
    return case.lead("other", f"{case.share} cannot take the pod: {words}", fix, 3)


@dataclass(frozen=True, slots=True)
class Plain:
    """A reason of the scheduler that needs no figures. `order`: see `Case.rank`."""

    says: str
    name: str
    order: int
    cause: str
    fix: str


PLAIN = (
    Plain(
        r"were unschedulable", "cordoned", 2, "are closed to new pods (cordoned)",
        "IT opens them: kubectl uncordon NODE.",
    ),
    Plain(
        r"Too many pods", "pods", 8, "hold as many pods as they may",
        "It starts when others end; IT can raise maxPods of the nodes or add nodes.",
    ),
    Plain(
        r"didn't match pod affinity", "pod-affinity", 8, "have none of the pods that this one must stand beside",
        "Correct the affinity of the instance type.",
    ),
    Plain(
        r"anti-affinity", "anti-affinity", 8, "hold a pod that this one must not stand beside",
        "It starts when that pod ends; else correct the anti-affinity of the instance type.",
    ),
    Plain(
        r"topology spread", "spread", 8, "would break the topology spread of the pods",
        "Correct topologySpreadConstraints, or add nodes in the other zones.",
    ),
    Plain(
        r"free ports", "port", 7, "have the pod's host port in use already", "Leave hostPort out, or add nodes."
    ),
    Plain(
        r"volume node affinity conflict", "volume-zone", 8, "are in another zone than the pod's volume",
        "Use a node of the volume's zone, or a storage class with volumeBindingMode WaitForFirstConsumer.",
    ),
    Plain(r"max(?:imum)? volume count", "volume-count", 8, "have as many volumes as they may", "Add nodes."),
    Plain(
        r"(?:unbound immediate PersistentVolumeClaims|find available persistent volumes)", "claim", 8,
        "cannot take the pod before its volume claim is bound", "See the claim: kubectl get pvc -n NAMESPACE.",
    ),
    Plain(
        r"cannot allocate all claims|ResourceClaim", "device-claim", 8, "cannot give the devices that the pod claims",
        "It starts when others end, or correct the ResourceClaim.",
    ),
)  # fmt: skip


def _insufficient(case: Case, resource: str) -> Lead | None:
    every = nodes(case.facts.nodes)
    wanted = requests(case.pod).get(resource, 0.0)
    most = largest(every, resource)
    what = _WHAT.get(resource, resource)
    gpu = bool(re.search(r"gpu|gaudi|neuron|tpu", resource))
    name = _NAMES.get(resource) or ("gpu" if gpu else "extended")
    if every and not most and resource not in _WHAT:
        return lead(
            f"unschedulable.{name}",
            "GpuPluginMissing" if gpu else "PodUnschedulable",
            f"no node offers {resource}",
            case.clue.quoted(),
            f"Install the device plugin of {resource}, add such a node, or choose an instance type without it.",
            98,
        )
    if resource in _WHAT and wanted > most > 0 and not case.facts.autoscaled:
        # too_big says it
        return None
    asked = f"a pod asks for {_say(resource, wanted)}" if wanted else f"there is too little {what}"
    has = f", the largest node has {_say(resource, most)}" if most else ""
    left = freest(every, resource)
    free = f", {_say(resource, left)} are free on one" if left is not None else ""
    cause = f"{case.share} have too little {what} left: {asked}{has}{free}"
    fix = "It starts when other work ends; or choose a smaller instance type, or add a node."
    return case.lead(name, cause, fix, 8, "failed" if most and wanted > most else "warning")


def _say(resource: str, quantity: float) -> str:
    if resource == "cpu":
        return f"{resource_words(resource, quantity)} CPU{'' if quantity == 1 else 's'}"
    words = resource_words(resource, quantity)
    return f"{words} of {_WHAT[resource]}" if resource in _WHAT else f"{words} {resource}"


def _tainted(case: Case) -> Lead:
    told = re.search(r"\{([^}]*)\}", case.words)
    spec = case.pod.get("spec") or {}
    fitting = [node for node in nodes(case.facts.nodes) if selects(spec.get("nodeSelector") or {}, node)]
    seen = dict.fromkeys(taint_words(each) for node in fitting for each in repels(node, spec.get("tolerations") or ()))
    if not seen:
        seen = dict.fromkeys(taint_words(each) for node in nodes(case.facts.nodes) for each in node.taints)
    taints = [each for each in seen if not each.startswith("node.kubernetes.io/unschedulable")]
    known = ", ".join(taints) or (told[1].strip().rstrip(": ") if told else "")
    if _NODE_TROUBLE.search(known):
        return case.lead(
            "not-ready", f"{case.share} are not ready ({known})", "IT looks at them: kubectl describe node NODE.", 5
        )
    if found := _PRESSURE.search(known):
        cause = f"{case.share} have too little {found[1]} left and take no pods"
        return case.lead("pressure", cause, "IT frees space on the nodes; it starts then.", 5)
    fix = (
        "Choose an instance type whose tolerations cover it; IT adds tolerations to an InstanceType, or taints the "
        "nodes "
        "with one of the fixed keys ml.azure.com/*."
    )
    cause = f"{case.share} are kept for other work by a taint that the pod does not tolerate: {known or 'unnamed'}"
    return case.lead("taint", cause, fix, 4)


def _unselected(case: Case) -> Lead:
    spec = case.pod.get("spec") or {}
    selector = dict(spec.get("nodeSelector") or {})
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    every = nodes(case.facts.nodes)
    if selector and every and not any(selects(selector, node) for node in every):
        cause = f"no node has the labels that {_type(case)} selects: {_selector(selector)}{_nearest(selector, every)}"
        label = f"IT labels a node: kubectl label node NODE {_selector(selector, ' ')}"
        return case.lead("selector", cause, f"{label}; or choose another instance type.", 9)
    if affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        name, why = "affinity", "node affinity"
    else:
        name, why = "selector", f"node selector {_selector(selector)}" if selector else "node selector"
    cause = f"{case.share} do not match the {why} of {_type(case)}"
    return case.lead(name, cause, "Correct the instance type, or choose another one.", 0)


def _type(case: Case) -> str:
    return f"instance type {case.facts.instance_type}" if case.facts.instance_type else "the pod"


def _selector(selector: dict[str, str], between: str = ", ") -> str:
    return between.join(f"{key}={value}" for key, value in sorted(selector.items()))


def _nearest(selector: dict[str, str], every: Sequence[NodeView]) -> str:
    if not every:
        return ""
    best = max(every, key=lambda node: sum(node.labels.get(key) == value for key, value in selector.items()))
    lacks = [f"{key}={value}" for key, value in selector.items() if best.labels.get(key) != value]
    return f" (node {best.name} lacks {', '.join(lacks)})"


def _pod_of(facts: Facts, clue: Clue) -> Object:
    named = [pod for pod in facts.pods if clue.where.endswith(f"pod {name_of(pod)}")]
    return named[0] if named else facts.pods[0] if facts.pods else {}


RULES: tuple[Look, ...] = (
    unschedulable,
    too_big,
    no_scheduler,
    Rule(
        "unschedulable.no-nodes",
        "PodUnschedulable",
        ("scheduling", "event"),
        r"no nodes available to schedule pods|0/0 nodes are available",
        "the cluster has no node that takes pods",
        "IT adds a node, or uncordons one: kubectl get nodes.",
        98,
    ),
    Rule(
        "volume.claim-missing",
        "VolumeNotReady",
        ("scheduling", "event"),
        r'persistentvolumeclaim "(?P<claim>[^"]+)" (?:not found|is being deleted)',
        "the volume claim {claim} does not exist in the compute's namespace",
        "Make the PersistentVolumeClaim {claim} there, or correct the datastore or label that names it.",
        97,
    ),
    Rule(
        "volume.unbound",
        "VolumeNotReady",
        ("scheduling", "event"),
        r"unbound immediate PersistentVolumeClaims",
        "a volume claim of the pod is not bound to a volume",
        "See kubectl describe pvc in the namespace: it lacks a matching volume or a storage class that makes one.",
        96,
    ),
    Rule(
        "gate.closed",
        "QueueWaiting",
        ("scheduling",),
        r"^SchedulingGated",
        "the pod is held back by a scheduling gate until whoever put it there opens it",
        "Usually Kueue: see its Workload; it opens the gate when quota is free.",
        80,
        "warning",
    ),
    Rule(
        "autoscaler.scaling",
        "PodUnschedulable",
        ("event",),
        r"^TriggeredScaleUp: (?P<text>.*)",
        "the cluster is adding a node for it",
        "Nothing to do: it starts when the node is ready.",
        70,
        "warning",
    ),
    Rule(
        "autoscaler.refuses",
        "PodUnschedulable",
        ("event",),
        r"^NotTriggerScaleUp: (?P<why>.*)",
        "the cluster's autoscaler cannot help: {why}",
        "Choose an instance type that one of the node pools offers, or raise the pool's maximum.",
        92,
    ),
)
