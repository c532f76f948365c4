"""Why the machine took a pod away: evictions, preemption, lost and drained nodes, kubelets that refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts, condition, name_of
from ferryml.domain.explain.kit import Lead, Look, Rule, lead

_POD: tuple[Kind, ...] = ("pod", "event")
_GONE: tuple[Kind, ...] = ("disruption", "pod", "event")
_AGAIN = "Ferry starts another attempt by itself (checkpoints in outputs are given back to it)."


def silent_node(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The node of a pod has fallen silent; nothing was decided yet."""
    bad = {
        name_of(node): node for node in facts.nodes if condition(node, "Ready").get("status") in ("False", "Unknown")
    }
    for pod in facts.pods:
        where = str((pod.get("spec") or {}).get("nodeName") or "")
        if where in bad and (pod.get("status") or {}).get("phase") in ("Pending", "Running"):
            ready = condition(bad[where], "Ready")
            yield lead(
                "node.silent",
                "NodeLost",
                f"node {where} is not ready: {ready.get('message') or ready.get('reason')}",
                f"pod {name_of(pod)} is on {where}; Ready is {ready.get('status')}",
                f"IT looks at the node. If it does not come back: {_AGAIN}",
                88,
                "warning",
            )
            return


RULES: tuple[Look, ...] = (
    Rule(
        "evicted.limit",
        "DiskFull",
        _POD,
        r"Evicted: .*?(?P<why>(?:ephemeral local storage usage exceeds|Container \S+ exceeded its local ephemeral "
        r"storage)[^.\n]*)",
        "the pod wrote more to its disk than its limit: {why}",
        "Choose an instance type with more ephemeral-storage, or write big files to outputs.",
        99,
    ),
    Rule(
        "evicted.empty-dir",
        "DiskFull",
        _POD,
        r'Evicted: .*?Usage of EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit ?"?(?P<limit>[^". ]*)',
        "the volume {volume} of the pod grew over its limit of {limit}",
        "Raise resources.shm_size if it is shm; else an instance type with more ephemeral-storage.",
        99,
    ),
    Rule(
        "evicted.disk",
        "DiskFull",
        _POD,
        r"Evicted: .*?low on resource: (?:ephemeral-storage|nodefs|imagefs)",
        "the node ran out of disk and put the pod out",
        f"IT frees space on the node. {_AGAIN}",
        99,
    ),
    Rule(
        "evicted.memory",
        "PodEvicted",
        _POD,
        r"Evicted: .*?low on resource: memory",
        "the node ran out of memory and put the pod out: it used more than it had asked for",
        f"Choose an instance type whose requests equal its limits. {_AGAIN}",
        99,
    ),
    Rule(
        "evicted.pids",
        "PodEvicted",
        _POD,
        r"Evicted: .*?low on resource: (?P<what>pids|inodes)",
        "the node ran out of {what} and put the pod out",
        f"Start fewer processes or write fewer files. {_AGAIN}",
        99,
    ),
    Rule(
        "node.preempted",
        "PodPreempted",
        _GONE,
        r"PreemptionByScheduler|^Preempted|preempt(?:ed|ing) (?:to admit|by)",
        "work of higher priority took the pod's place",
        f"Use a PriorityClass of its own (queue_settings.priority). {_AGAIN}",
        98,
    ),
    Rule(
        "node.shutdown",
        "NodeLost",
        _GONE,
        r"NodeShutdown|imminent node shutdown|TerminationByKubelet: .*shut ?down",
        "the node was shut down",
        f"Usually a spot node or maintenance. {_AGAIN}",
        98,
    ),
    Rule(
        "node.drained",
        "PodEvicted",
        _GONE,
        r"EvictionByEvictionAPI|^Eviction API",
        "somebody drained the node (kubectl drain, an upgrade, or the autoscaler)",
        f"A PodDisruptionBudget or the annotation cluster-autoscaler.kubernetes.io/safe-to-evict=false keeps it. "
        f"{_AGAIN}",
        97,
    ),
    Rule(
        "node.tainted",
        "NodeLost",
        _GONE,
        r"DeletionByTaintManager|TaintManagerEviction|NodeLost|NodeNotReady",
        "the node was lost: it was silent for longer than the pod tolerates, or was tainted NoExecute",
        f"IT looks at the node. {_AGAIN}",
        97,
    ),
    Rule(
        "node.gone",
        "NodeLost",
        _GONE,
        r"DeletionByPodGC|node not found|no longer exists",
        "the node is gone from the cluster",
        _AGAIN,
        97,
    ),
    Rule(
        "node.refused",
        "MachineFailed",
        _POD,
        r"(?P<what>OutOf\w+|UnexpectedAdmissionError|NodeAffinity|NodePorts|PodResourcesExceeded|"
        r"TopologyAffinityError): (?P<why>.*)",
        "the node refused the pod after it was placed there ({what}): {why}",
        f"Somebody else was faster. {_AGAIN}",
        95,
    ),
    Rule(
        "evicted.other",
        "PodEvicted",
        _GONE,
        r"^(?:Evicted|TerminationByKubelet): (?P<why>.*)",
        "the pod was put out: {why}",
        _AGAIN,
        90,
        last="family",
    ),
    silent_node,
)
