"""Why work is held back on purpose: gangs, queues, suspension, limits of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts, condition, name_of
from ferryml.domain.explain.kit import Lead, Look, Rule, lead

_QUEUE: tuple[Kind, ...] = ("job", "event")


def gang(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """Ferry holds all pods of a job back until all of them fit."""
    if facts.gang_waiting:
        yield lead(
            "gang.waiting",
            "GangWaiting",
            f"its {facts.instance_count} pods start together, and there is no room for all of them now",
            facts.gang_waiting,
            "It starts when enough other work has ended; fewer or smaller instances start sooner.",
            95,
            "warning",
        )


def half_a_gang(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """Some pods run and wait for others that have no place."""
    placed = [pod for pod in facts.pods if condition(pod, "PodScheduled").get("status") == "True"]
    homeless = [pod for pod in facts.pods if condition(pod, "PodScheduled").get("status") == "False"]
    if placed and homeless and facts.instance_count > 1:
        yield lead(
            "gang.incomplete",
            "GangWaiting",
            f"{len(placed)} of {facts.instance_count} pods have a place and wait for the rest",
            f"pod {name_of(homeless[0])} has none",
            "Ferry gives all of them back if the rest does not come in time (gang_timeout_s), and tries again.",
            72,
            "warning",
        )


def suspended(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The Job is suspended, and neither Ferry's gang nor a queue has said so."""
    spec = (facts.job or {}).get("spec") or {}
    if spec.get("suspend") and not facts.gang_waiting and facts.workload is None:
        yield lead(
            "job.suspended",
            "Suspended",
            "the Job is suspended: somebody or some queue holds it back",
            f"Job {name_of(facts.job or {})} has spec.suspend: true",
            "Whoever suspended it resumes it; Kueue does so when its quota is free.",
            75,
            "warning",
        )


RULES: tuple[Look, ...] = (
    gang,
    half_a_gang,
    suspended,
    Rule(
        "queue.missing",
        "QueueWaiting",
        _QUEUE,
        r"(?P<which>LocalQueue|ClusterQueue|ResourceFlavor) (?P<name>\S+) (?:doesn't|does not) exist",
        "Kueue has no {which} {name}",
        "Correct the queue's name (kueue_queue of the site), or IT makes it.",
        98,
    ),
    Rule(
        "queue.inactive",
        "QueueWaiting",
        _QUEUE,
        r"(?P<which>LocalQueue|ClusterQueue) (?P<name>\S+) is (?P<how>inactive|stopped)",
        "Kueue's {which} {name} is {how}",
        "IT activates it.",
        97,
    ),
    Rule(
        "queue.never",
        "QueueWaiting",
        _QUEUE,
        r"(?P<why>[^\n]*(?:exceeds? (?:maximum|the) (?:capacity|quota)|insufficient quota for)[^\n]*request > "
        r"maximum capacity[^\n]*)",
        "Kueue's quota can never hold it: {why}",
        "Choose a smaller instance type, or IT raises the quota.",
        98,
    ),
    Rule(
        "queue.full",
        "QueueWaiting",
        _QUEUE,
        r"(?P<why>(?:couldn't assign flavors|insufficient (?:unused )?quota)[^\n]*)",
        "it waits in Kueue for free quota: {why}",
        "It starts when other work in the queue ends.",
        93,
        level="warning",
    ),
    Rule(
        "queue.evicted",
        "QueueWaiting",
        _QUEUE,
        r"^(?:EvictedDueTo)?Preempted: (?P<why>.*workload.*)|^EvictedDueTo\w+: (?P<other>.*)",
        "Kueue put it back into the queue: {why}{other}",
        "It starts again by itself.",
        90,
        level="warning",
    ),
    Rule(
        "job.deadline",
        "TimedOut",
        ("job", "event"),
        r"^DeadlineExceeded",
        "the job ran longer than it may",
        "Raise limits.timeout, or make the work shorter.",
        98,
    ),
    Rule(
        "job.ranks",
        "UserCodeFailed",
        ("job",),
        r"^(?:PodFailurePolicy|FailedIndexes|MaxFailedIndexesExceeded)",
        "one rank of the job failed, which ends all",
        "See that rank's log.",
        55,
    ),
)
