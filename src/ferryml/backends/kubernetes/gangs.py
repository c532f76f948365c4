"""Jobs of several pods start together or not at all: one gang at a time is let go, and called back when stuck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ferryml.backends.kubernetes.kinds import JOBS
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, meta, name_of, namespace_of
from ferryml.backends.kubernetes.room import why_no_room
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.cluster import Cluster

QUEUE = "kueue.x-k8s.io/queue-name"
MOST_PAUSES = 5
"""Doublings of the pause after a gang was called back."""


@dataclass
class _Try:
    since: datetime | None = None
    failures: int = 0
    again_at: datetime | None = None


@dataclass
class Gangs:
    """Suspended Jobs of several pods, by creation: the first that may start does."""

    kube: Kube
    watched: Watched
    cluster: Cluster
    now: Callable[[], datetime]
    taken: Callable[[], Mapping[str, Mapping[str, float]]] = dict
    """node -> what other people's pods were promised; empty where nobody may look."""
    _tries: dict[str, _Try] = field(default_factory=dict)
    _words: dict[str, str] = field(default_factory=dict)

    def tend(self) -> None:
        gangs = [job for job in self.watched.jobs.all() if _is_gang(job)]
        if not gangs:
            self._tries.clear()
            self._words.clear()
            return
        here = {str(meta(job)["uid"]) for job in gangs}
        self._tries = {uid: one for uid, one in self._tries.items() if uid in here}
        self._words = {uid: words for uid, words in self._words.items() if uid in here}
        gangs.sort(key=lambda job: (str(meta(job).get("creationTimestamp", "")), name_of(job)))
        starting = [job for job in gangs if not _is_suspended(job) and not self._all_placed(job)]
        for job in starting:
            self._call_back(job)
        for job in gangs:
            if _is_suspended(job):
                starting += self._try(job, starting)

    def waiting(self, job: Manifest) -> str:
        """In words, while it is held back."""
        return self._words.get(str(meta(job).get("uid", "")), "")

    def _try(self, job: Manifest, starting: list[Manifest]) -> list[Manifest]:
        uid, now = str(meta(job)["uid"]), self.now()
        one = self._tries.setdefault(uid, _Try())
        if one.again_at is not None and now < one.again_at:
            return []
        if starting:
            self._words[uid] = f"held back until all pods of {name_of(starting[0])} have a place"
            return []
        why = self._no_room(job) if self.cluster.gang == "check" else ""
        if why:
            self._words[uid] = why
            return []
        self._words.pop(uid, None)
        one.since, one.again_at = now, None
        self._suspend(job, False)
        return [job]

    def _no_room(self, job: Manifest) -> str:
        nodes, pods = self.watched.nodes.all(), self.watched.pods.all()
        return why_no_room(int(job["spec"]["completions"]), job.get("needs") or {}, nodes, pods, self.taken())

    def _call_back(self, job: Manifest) -> None:
        """All are released when not all found a place in time: two half-placed gangs must not wait for each other."""
        uid, now = str(meta(job)["uid"]), self.now()
        one = self._tries.setdefault(uid, _Try())
        one.since = one.since or now
        if (now - one.since).total_seconds() < self.cluster.gang_timeout_s or self._some_began(job):
            return
        one.failures += 1
        pause = self.cluster.gang_timeout_s / 4 * 2 ** min(one.failures, MOST_PAUSES)
        one.since, one.again_at = None, now + timedelta(seconds=pause)
        count = int(job["spec"]["completions"])
        self._words[uid] = (
            f"not all {count} pods found a place within {self.cluster.gang_timeout_s:g} s; tried again in {pause:g} s"
        )
        self._suspend(job, True)

    def _suspend(self, job: Manifest, suspend: bool) -> None:
        body = self.kube.patch(JOBS, namespace_of(job), name_of(job), {"spec": {"suspend": suspend}})
        self.watched.jobs.took(body)

    def _pods(self, job: Manifest) -> list[Manifest]:
        found = labels_of(job)
        return self.watched.pods.select(f"{found.get(marks.UID, '')}/{found.get(marks.ATTEMPT, '')}")

    def _all_placed(self, job: Manifest) -> bool:
        placed = [pod for pod in self._pods(job) if (pod.get("spec") or {}).get("nodeName")]
        return len(placed) >= int(job["spec"]["completions"])

    def _some_began(self, job: Manifest) -> bool:
        """A program that runs is not called back: its pods have a place, and work would be lost."""
        for pod in self._pods(job):
            for each in (pod.get("status") or {}).get("containerStatuses") or ():
                if (each.get("state") or {}).get("running") or (each.get("state") or {}).get("terminated"):
                    return True
        return False


def _is_gang(job: Manifest) -> bool:
    """Held by Ferry: of several pods, not Kueue's, not over."""
    spec, found = job.get("spec") or {}, labels_of(job)
    if found.get(marks.KIND) != "job" or QUEUE in found or "deletionTimestamp" in meta(job):
        return False
    over = any(
        each.get("type") in ("Complete", "Failed", "FailureTarget") and each.get("status") == "True"
        for each in (job.get("status") or {}).get("conditions") or ()
    )
    return int(spec.get("completions") or 1) > 1 and not over


def _is_suspended(job: Manifest) -> bool:
    return bool((job.get("spec") or {}).get("suspend"))
