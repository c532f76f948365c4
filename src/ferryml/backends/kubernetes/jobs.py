"""Attempts of jobs as Jobs of a cluster: one Job each, never a second one of the same attempt, seen through caches."""

from __future__ import annotations

import builtins
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from ferryml.backends.kubernetes.events import EventLog
from ferryml.backends.kubernetes.gangs import Gangs
from ferryml.backends.kubernetes.gateway_door import ClusterDoor
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, JOBS, NETWORK_POLICIES, SERVICES, VOLUME_CLAIMS, Kind
from ferryml.backends.kubernetes.kube import Kube, Manifest, annotations_of, labels_of, meta, name_of, namespace_of
from ferryml.backends.kubernetes.ledger import Held
from ferryml.backends.kubernetes.news import News
from ferryml.backends.kubernetes.observe import View, being_ended, job_seen, nothing_more_comes, over_in_part
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.trouble import no_namespace, not_made
from ferryml.backends.kubernetes.watched import Watched, word_of
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.job import Attempt, make_attempt
from ferryml.compile.kubernetes.names import attempt_name, uid_hash
from ferryml.compile.kubernetes.plan import sources
from ferryml.compile.kubernetes.pods import Owner
from ferryml.compile.kubernetes.policies import namespace_policies
from ferryml.domain.errors import Conflict, FerryError, NotFound, Unavailable
from ferryml.domain.instance_types import choose, table
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.seen import EnvSeen, JobSeen, Launch
from ferryml.domain.statuses import Finding

log = logging.getLogger(__name__)

_MADE: dict[str, Kind] = {kind.kind: kind for kind in (CONFIG_MAPS, JOBS, NETWORK_POLICIES, SERVICES)}
Key = tuple[str, int]

CLAIMS_AGAIN = timedelta(seconds=3)
GUARD_AGAIN = timedelta(minutes=10)
"""A namespace may be made anew, and people may delete its policies."""


class Explainer(Protocol):
    """Says why an attempt waits or failed; never blocks, and remembers for itself."""

    def findings(self, uid: str, attempt: int, view: View, seen: JobSeen) -> tuple[Finding, ...]: ...
    def forget(self, uid: str) -> None: ...


class NoExplainer:
    """Says nothing."""

    def findings(self, uid: str, attempt: int, view: View, seen: JobSeen) -> tuple[Finding, ...]:
        return ()

    def forget(self, uid: str) -> None:
        return


@dataclass
class KubeJobs:
    """The JobBackend of a cluster.

    Args:
        held: where a uid's MLJob is.
        settled: whether its end was told: it is only counted then, nothing is done about it.
        keep_finished_s: how long a finished Job and its pods stay once they are not needed any more.
    """

    kube: Kube
    watched: Watched
    door: ClusterDoor
    environments: Preparations
    cluster: Cluster
    held: Callable[[str], Held | None]
    patience: Patience
    gangs: Gangs
    now: Callable[[], datetime]
    settled: Callable[[str], bool] = lambda uid: False
    keep_finished_s: float = 3600
    explainer: Explainer = field(default_factory=NoExplainer)
    news: News = field(default_factory=News)
    events: EventLog | None = None
    _doomed: set[Key] = field(default_factory=set)
    """Attempts that came to their end while pods of them are still there."""
    _verdicts: dict[Key, JobSeen] = field(default_factory=dict)
    """What became of them, although their pods will say that they were asked to end."""
    _closed: set[Key] = field(default_factory=set)
    _ordered: set[Key] = field(default_factory=set)
    """Attempts whose end was asked for."""
    _told: set[Key] = field(default_factory=set)
    """Attempts whose events were kept."""
    _guarded: dict[str, datetime] = field(default_factory=dict)
    """When the policies of a namespace were applied."""
    _claimed: dict[str, tuple[datetime, tuple[Manifest, ...]]] = field(default_factory=dict)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    """Attempts that are launched at once ask once for what they share."""

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        self.environments.prepare(env, uid, grant)

    def environment(self, key: str) -> EnvSeen:
        return self.environments.environment(key)

    def tend(self) -> Collection[str] | None:
        """What must be done without anyone asking: ends what is lost in part, starts gangs."""
        news = self.news.take()
        for uid, attempt in sorted(self._doomed):
            self._tried(partial(self.kill, uid, attempt, 0))
        self._doomed.clear()
        self._tried(self.gangs.tend)
        return news

    def _tried(self, step: Callable[[], None]) -> None:
        """What fails here is tried again in the next turn, and stops nobody."""
        try:
            step()
        except FerryError as error:
            log.warning("left for the next turn: %s: %s", error.code, error.message)

    def launch(self, launch: Launch) -> None:
        """Raises Refused when the order cannot be carried out here, Unavailable when it can later.

        Attempts of different jobs may be launched from several threads at once.
        """
        held = self.held(launch.uid)
        if held is None:
            raise Unavailable("Unavailable", f"{launch.uid} is not written down yet")
        if held.trouble:
            raise no_namespace(launch.order.namespace, held.trouble)
        if self._job(launch.uid, launch.attempt) is not None:
            return
        for earlier in range(1, launch.attempt):
            self._end(launch.uid, earlier)
        made = make_attempt(self._attempt(launch, held), self.cluster)
        if outside := sources(launch.order):
            self.door.allow_sources(launch.uid, outside)
        try:
            self._guard(launch.order.namespace)
            for body in made.objects:
                answer = self._made(body)
        except FerryError as error:
            raise not_made(error, launch.order.namespace) from error
        self.watched.jobs.took(answer)

    def observe(self, uid: str, attempt: int) -> JobSeen:
        held = self.held(uid)
        if held is not None and held.trouble:
            return JobSeen(state="exited", code="NamespaceMissing", message=no_namespace("", held.trouble).message)
        if held is not None and self.watched.is_blind(held.namespace):
            why = f"namespace {held.namespace} cannot be looked into: the agent has no rights there at present"
            return JobSeen(state="unknown", message=why)
        view, verdict = self._view(uid, attempt), self._verdicts.get((uid, attempt))
        seen = being_ended(view, verdict) if verdict else self._judged(uid, attempt, view)
        if self.settled(uid):
            return seen
        if (uid, attempt) not in self._closed and nothing_more_comes(view, seen, self.now()):
            self._close(uid, attempt, seen.exit_code or 0)
        self._keep_events(uid, attempt, view, seen)
        found = self.explainer.findings(uid, attempt, view, seen)
        if not found:
            return seen
        # without pods only the explainer knows what their maker was told
        words = {"message": found[0].cause} if seen.state == "queued" and not view.pods and not view.waiting else {}
        return seen.model_copy(update={"findings": found, **words})

    def _judged(self, uid: str, attempt: int, view: View) -> JobSeen:
        """What is seen, made a verdict when it is certain before all its pods have ended."""
        seen = job_seen(view, self.now())
        judged = self.patience.judged(uid, attempt, view, seen)
        if judged is not seen:
            self._verdicts[uid, attempt] = judged
        if verdict := over_in_part(view, judged):
            self._verdicts[uid, attempt] = verdict
            self._doomed.add((uid, attempt))
        return judged

    def _close(self, uid: str, attempt: int, exit_code: int) -> None:
        """A gateway that is away is told at the next look; one that knows of no such attempt holds nothing of it."""
        try:
            self.door.close_attempt(uid, attempt, exit_code)
        except Unavailable as error:
            log.warning("%s: attempt %s is closed later: %s", uid, attempt, error.message)
            return
        except NotFound:
            log.info("%s: the gateway knows of no attempt %s", uid, attempt)
        self._closed.add((uid, attempt))

    def kill(self, uid: str, attempt: int, grace_s: float) -> None:
        """Pods get their own grace; the Job stays till they are gone."""
        self._ordered.add((uid, attempt))
        job = self._job(uid, attempt)
        if job is not None and "deletionTimestamp" not in meta(job):
            self.kube.delete(JOBS, namespace_of(job), name_of(job), "Foreground", uid=str(meta(job).get("uid", "")))

    def clean(self, uid: str) -> None:
        for body in self.watched.jobs.select(uid_hash(uid)):
            self._release(body, _is_finished(body) or self._ends_by_itself(uid, body))
        for key in [key for key in {*self._verdicts, *self._closed, *self._told, *self._ordered} if key[0] == uid]:
            self._verdicts.pop(key, None)
            self._closed.discard(key)
            self._told.discard(key)
            self._ordered.discard(key)
        self.patience.forget(uid)
        self.explainer.forget(uid)

    def _ends_by_itself(self, uid: str, job: Manifest) -> bool:
        """The Job controller may not have said it yet, but a program that ended ends its pod."""
        view = self._view(uid, int(labels_of(job).get(marks.ATTEMPT) or 0))
        seen = job_seen(view, self.now())
        return seen.state == "exited" and seen.exit_code is not None

    def list(self) -> builtins.list[Key]:
        found = {
            (annotations_of(body).get(marks.UID, ""), int(labels_of(body).get(marks.ATTEMPT) or 0))
            for body in self.watched.jobs.all()
            if labels_of(body).get(marks.KIND) == "job" and not _is_released(body)
        }
        return sorted(key for key in found if key[0] and key[1])

    def _keep_events(self, uid: str, attempt: int, view: View, seen: JobSeen) -> None:
        bad = seen.state == "lost" or (seen.state == "exited" and (seen.code or seen.exit_code != 0))
        if self.events is None or not bad or (uid, attempt) in self._told:
            return
        self._told.add((uid, attempt))
        self.events.keep(uid, attempt, [*view.pods, *([view.job] if view.job is not None else [])])

    def _view(self, uid: str, attempt: int) -> View:
        job = self._job(uid, attempt)
        pods = self.watched.pods.select(word_of(uid, attempt))
        known = job is not None or pods or self.held(uid) is not None
        return View(
            job=job, pods=pods, states=self.door.states(uid, attempt) if known else {},
            nodes_away=self.watched.nodes_away(), ordered=(uid, attempt) in self._ordered,
            waiting=self.gangs.waiting(job) if job is not None else "",
        )  # fmt: skip

    def _job(self, uid: str, attempt: int) -> Manifest | None:
        found = self.watched.jobs.select(word_of(uid, attempt))
        return next((job for job in found if name_of(job) == attempt_name(uid, attempt)), None)

    def _guard(self, namespace: str) -> None:
        """Closes the namespace's jobs against others, before their pods are made; anew if someone opened them."""
        with self._asking:
            at = self._guarded.get(namespace)
            if at is None or self.now() - at > GUARD_AGAIN:
                for body in namespace_policies(namespace, self.cluster):
                    self.kube.apply(body)
                self._guarded[namespace] = self.now()

    def _attempt(self, launch: Launch, held: Held) -> Attempt:
        order = launch.order
        types, _ = table([*self.watched.types.all(), *self.watched.alias_types.all()])
        return Attempt(
            launch=launch, namespace=order.namespace, instance_type=choose(types, order.instance_type),
            owner=Owner(held.kind.kind, held.name, held.object_uid),
            environment=self.environments.archive(launch.env_key), image=self.environments.image(launch.env_key),
            claims=self._claims(order.namespace),
        )  # fmt: skip

    def _claims(self, namespace: str) -> tuple[Manifest, ...]:
        """Asked for once for jobs that come together."""
        with self._asking:
            at, known = self._claimed.get(namespace, (None, ()))
            if at is None or self.now() - at > CLAIMS_AGAIN:
                known = self.kube.list(VOLUME_CLAIMS, namespace).items
                self._claimed[namespace] = self.now(), known
            return known

    def _made(self, body: Manifest) -> Manifest:
        """An attempt's objects are new, save after a kill in the middle; applying costs the cluster twice as much."""
        try:
            return self.kube.create(_MADE[body["kind"]], body)
        except Conflict as error:
            if error.code != "AlreadyExists":
                raise
            return self.kube.apply(body)

    def _end(self, uid: str, attempt: int) -> None:
        """Removes the Job; its pods go by themselves."""
        job = self._job(uid, attempt)
        if job is not None and "deletionTimestamp" not in meta(job):
            self.kube.delete(JOBS, namespace_of(job), name_of(job), uid=str(meta(job).get("uid", "")))

    def _release(self, job: Manifest, ends: bool) -> None:
        """What nobody needs any more: finished Jobs stay a while for people to look at, the rest goes at once."""
        namespace, name = namespace_of(job), name_of(job)
        if _is_released(job) or "deletionTimestamp" in meta(job):
            return
        if ends and self.keep_finished_s > 0:
            change = {"spec": {"ttlSecondsAfterFinished": int(self.keep_finished_s)}}
            try:
                self.watched.jobs.took(self.kube.patch(JOBS, namespace, name, change))
            except NotFound:
                self.watched.jobs.dropped(namespace, name)
        else:
            self.kube.delete(JOBS, namespace, name, uid=str(meta(job).get("uid", "")))
        self.kube.delete(CONFIG_MAPS, namespace, name)
        if int((job.get("spec") or {}).get("completions") or 1) > 1:
            self.kube.delete(SERVICES, namespace, name)
            self.kube.delete(NETWORK_POLICIES, namespace, name)


def _is_finished(job: Manifest) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)


def _is_released(job: Manifest) -> bool:
    return (job.get("spec") or {}).get("ttlSecondsAfterFinished") is not None
