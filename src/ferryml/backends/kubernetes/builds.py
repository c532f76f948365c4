"""Images of environments on a site that is a cluster: built once by a Job of their own, remembered by the gateway."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ferryml.backends.kubernetes.gateway_door import ClusterDoor
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, JOBS
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, meta, name_of
from ferryml.backends.kubernetes.observe import View, job_seen
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.build import BUILD, PULL, ImageBuild, check_builds, image_name, make_build
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.names import build_name, build_uid, uid_hash
from ferryml.compile.kubernetes.pods import MAIN, STAGE
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.seen import ENVIRONMENT_LOG, EnvSeen, JobSeen

log = logging.getLogger(__name__)

MOST_LOSSES = 3
"""Times that a build is begun anew because its machine was lost."""
RECHECK_S = 30.0
"""After which the gateway is asked again whether it still knows an image."""
LOG_EVERY_S = 2.0
"""How often who waits is told what the build prints."""
CODE = "ImageBuildFailed"
STEPS = {PULL: "pulling the base images", BUILD: "building the image", MAIN: "pushing the image"}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass
class Builds:
    """Images by the key of `image_order`. Every call is quick; the work is in the cluster."""

    kube: Kube
    watched: Watched
    door: ClusterDoor
    cluster: Cluster
    patience: Patience
    now: Callable[[], datetime]
    _orders: dict[str, EnvironmentOrder] = field(default_factory=dict)
    _ready: dict[str, tuple[EnvSeen, datetime]] = field(default_factory=dict)
    _absent: dict[str, datetime] = field(default_factory=dict)
    _failed: dict[str, EnvSeen] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """key -> uids that wait for it -> container -> bytes of its log that were told."""
    _told: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def prepare(self, order: EnvironmentOrder, uid: str, grant: str) -> None:
        """Raises Refused when it cannot be built here, Unavailable when it can later."""
        check_builds(self.cluster)
        with self._lock:
            self._orders[order.key] = order
            self._asked.setdefault(order.key, {}).setdefault(uid, {})
            if self.image(order.key).state in ("making", "ready"):
                return
            self._failed.pop(order.key, None)
            self._make(order, grant)

    def image(self, key: str) -> EnvSeen:
        """`image` is the name by digest, once `ready`."""
        with self._lock:
            if key in self._failed:
                return self._failed[key]
            known = self._ready.get(key)
            if known is not None and (self.now() - known[1]).total_seconds() < RECHECK_S:
                return known[0]
            job = self.watched.jobs.get(self.cluster.builds_namespace, build_name(key))
            if job is not None and "deletionTimestamp" not in meta(job) and key in self._orders:
                return self._in_making(self._orders[key], job)
            return self._from_gateway(key)

    def _in_making(self, order: EnvironmentOrder, job: Manifest) -> EnvSeen:
        key, uid, attempt = order.key, build_uid(order), int(labels_of(job).get(marks.ATTEMPT) or 1)
        pods = self.watched.pods.select(f"{uid_hash(uid)}/{attempt}")
        states = self.door.states(uid, attempt)
        view = View(job=job, pods=pods, states=states, nodes_away=self.watched.nodes_away())
        seen = self.patience.judged(uid, attempt, view, job_seen(view, self.now()))
        why = overdue(job, self.cluster.build_timeout_s) or next(filter(None, map(failure_of, pods)), "")
        built = next(filter(None, map(image_of, pods)), "")
        if not why and built and not _is_ours(built, order, self.cluster):
            why = f"what was pushed calls itself {built[:200]!r}"
        if not why and built:
            return self._built(key, built, pods)
        if not why and (seen.live or seen.state == "absent"):
            self._tell(key, pods)
            return EnvSeen(state="making", progress=progress_of(pods, seen))
        self._tell(key, pods, last=True)
        if not why and seen.state == "lost" and self._losses.get(key, 0) < MOST_LOSSES:
            # not the Dockerfile's fault: absent, so that it is asked for again
            self._losses[key] = self._losses.get(key, 0) + 1
            self._remove(key)
            return EnvSeen()
        return self._end_badly(key, why, seen)

    def _built(self, key: str, image: str, pods: Sequence[Manifest]) -> EnvSeen:
        try:
            self.door.keep_built(key, image)
        except Unavailable as error:
            return EnvSeen(state="making", progress=f"waiting for the site's gateway: {error.message}")
        self._tell(key, pods, last=True)
        self._remove(key)
        self._losses.pop(key, None)
        log.info("the image %s was built", image)
        return self._known(key, image)

    def _known(self, key: str, image: str) -> EnvSeen:
        seen = EnvSeen(state="ready", image=image)
        self._absent.pop(key, None)
        self._ready[key] = (seen, self.now())
        return seen

    def _end_badly(self, key: str, why: str, seen: JobSeen) -> EnvSeen:
        code = seen.code if not why and seen.code and seen.code != "UserCodeFailed" else CODE
        message = why or seen.message or f"the build ended with {seen.exit_code}"
        failed = EnvSeen(state="failed", code=code, message=message)
        self._failed[key] = failed
        self._remove(key)
        return failed

    def _from_gateway(self, key: str) -> EnvSeen:
        asked = self._absent.get(key)
        if asked is not None and (self.now() - asked).total_seconds() < RECHECK_S:
            return EnvSeen()
        try:
            image = self.door.built(key)
        except Unavailable as error:
            # whoever waits may still be canceled, and hears what it waits for
            return EnvSeen(state="making", progress=f"waiting for the site's gateway: {error.message}")
        if image:
            return self._known(key, image)
        self._absent[key] = self.now()
        self._ready.pop(key, None)
        return EnvSeen()

    def _make(self, order: EnvironmentOrder, grant: str) -> None:
        # attempts rise with the clock, so that none is used twice, also after a restart
        build = ImageBuild(order, int(self.now().timestamp()))
        made = make_build(build, self.cluster)
        namespace, name = self.cluster.builds_namespace, build_name(order.key)
        self.door.admit_pods(build_uid(order), build.attempt, grant, namespace, f"{name}-", kind="build")
        self._remove(order.key)
        for body in made.objects:
            self.kube.apply(body)
        job = self.kube.get(JOBS, namespace, name)
        if job is not None:
            self.watched.jobs.took(job)
        self._absent.pop(order.key, None)
        log.info("the image %s is being built", image_name(order, self.cluster))

    def _remove(self, key: str) -> None:
        name, namespace = build_name(key), self.cluster.builds_namespace
        self.kube.delete(JOBS, namespace, name)
        self.kube.delete(CONFIG_MAPS, namespace, name)
        self.watched.jobs.dropped(namespace, name)

    def _tell(self, key: str, pods: Sequence[Manifest], last: bool = False) -> None:
        """Everyone who waits gets the log as it grows."""
        asked = self._asked.get(key)
        told = self._told.get(key)
        if not asked or not pods or (not last and told and (self.now() - told).total_seconds() < LOG_EVERY_S):
            return
        self._told[key] = self.now()
        try:
            texts = {name: self._printed(pods[-1], name) for name in (STAGE, PULL, BUILD, MAIN)}
            for uid, had in asked.items():
                news = b"".join(text[had.get(name, 0) :] for name, text in texts.items())
                if news:
                    self.door.append_log(uid, 1, ENVIRONMENT_LOG, news)
                had.update({name: len(text) for name, text in texts.items()})
        except FerryError as error:
            log.warning("the log of build %s cannot be handed on: %s", key, error.message)
        if last:
            self._asked.pop(key, None)
            self._told.pop(key, None)

    def _printed(self, pod: Manifest, container: str) -> bytes:
        if not _has_begun(pod, container):
            return b""
        return self.kube.pod_log(self.cluster.builds_namespace, name_of(pod), container)


def overdue(job: Manifest, limit_s: float) -> str:
    """In words, when the cluster ended it because it took too long."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("reason") == "DeadlineExceeded" and each.get("status") == "True":
            return f"the build took longer than {limit_s:g} s (build_timeout_s of the site)"
    return ""


def failure_of(pod: Manifest) -> str:
    """In words, what pulling, building or pushing says went wrong; empty when nothing did."""
    for name, ended in _ends(pod):
        if not ended.get("exitCode") or name == STAGE:
            continue
        words, reason = _last_words(ended).get("message", ""), str(ended.get("reason") or "")
        if reason == "OOMKilled":
            return f"OOMKilled: {STEPS[name]} took more memory than build_memory of the site allows"
        if (pod.get("status") or {}).get("reason") == "Evicted":
            continue
        said = " ".join(str(ended.get("message") or "").split())[-500:]
        return words or f"{STEPS[name]} ended with exit code {ended['exitCode']}: {said or reason}"
    return ""


def image_of(pod: Manifest) -> str:
    """The image by digest, once it was pushed."""
    for name, ended in _ends(pod):
        if name == MAIN and ended.get("exitCode") == 0:
            return _last_words(ended).get("image", "")
    return ""


def progress_of(pods: Sequence[Manifest], seen: JobSeen) -> str:
    """In words, which step it is at."""
    for pod in pods:
        for name, status in _statuses(pod):
            if name in STEPS and (status.get("state") or {}).get("running"):
                return STEPS[name]
    staged = any(name == STAGE for pod in pods for name, _ in _ends(pod))
    waits = seen.message if seen.state in ("queued", "staging") and not staged else ""
    return f"building the image: {waits}" if waits else "building the image"


def _is_ours(image: str, order: EnvironmentOrder, cluster: Cluster) -> bool:
    name, _, digest = image.partition("@")
    return name == image_name(order, cluster).rpartition(":")[0] and bool(_DIGEST.fullmatch(digest))


def _statuses(pod: Manifest) -> list[tuple[str, Manifest]]:
    status = pod.get("status") or {}
    both = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return [(str(each.get("name")), each) for each in both]


def _ends(pod: Manifest) -> list[tuple[str, Manifest]]:
    found = [(name, (status.get("state") or {}).get("terminated") or {}) for name, status in _statuses(pod)]
    return [(name, ended) for name, ended in found if ended and name in (STAGE, *STEPS)]


def _has_begun(pod: Manifest, container: str) -> bool:
    states = [status.get("state") or {} for name, status in _statuses(pod) if name == container]
    return any("running" in state or "terminated" in state for state in states)


def _last_words(ended: Manifest) -> dict[str, str]:
    try:
        said: Any = json.loads(str(ended.get("message") or ""))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}
