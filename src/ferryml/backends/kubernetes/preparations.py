"""Environments of a site that is a cluster: made once by a Job of its own, kept as archives by the site's gateway."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ferryml.backends.kubernetes.builds import Builds
from ferryml.backends.kubernetes.gateway_door import ClusterDoor
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, JOBS
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, name_of
from ferryml.backends.kubernetes.observe import View, job_seen
from ferryml.backends.kubernetes.patience import Patience
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.environment import image_order, on_image
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.images import needs_preparation
from ferryml.compile.kubernetes.names import preparation_name, preparation_uid, uid_hash
from ferryml.compile.kubernetes.plan import Archive
from ferryml.compile.kubernetes.preparation import Preparation, make_preparation
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.seen import ENVIRONMENT_LOG, EnvSeen, JobSeen

log = logging.getLogger(__name__)

MOST_LOSSES = 3
"""Times that a preparation is made anew because its machine was lost."""
MAKING = "making the environment"
RECHECK_S = 30.0
"""After which the gateway is asked again whether it still holds an archive."""


def is_plain(env: EnvironmentOrder) -> bool:
    """The image runs as it is."""
    return env.build is None and not needs_preparation(env)


@dataclass
class Preparations:
    """Environments by key. Every call is quick; the work is in the cluster."""

    kube: Kube
    watched: Watched
    door: ClusterDoor
    cluster: Cluster
    patience: Patience
    now: Callable[[], datetime]
    wake: Callable[[str], None]
    builds: Builds
    _wanted: dict[str, EnvironmentOrder] = field(default_factory=dict)
    """Those whose image is built first, by their own keys."""
    _plain: set[str] = field(default_factory=set)
    _ready: dict[str, tuple[EnvSeen, Archive, datetime]] = field(default_factory=dict)
    _absent: dict[str, datetime] = field(default_factory=dict)
    _failed: dict[str, EnvSeen] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, set[str]] = field(default_factory=dict)
    """key -> uids that wait for it: each gets the log."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        """Raises Refused when it cannot be made, Unavailable when it can later.

        One whose image must be built first is asked for twice: once that is done, for what goes on top of it.
        """
        if env.build is not None:
            self._wanted[env.key] = env
            asked = image_order(env)
            self.builds.prepare(asked, uid, grant)
            image = self.builds.image(asked.key)
            if image.state != "ready":
                return
            env = on_image(env, image.image)
        if is_plain(env):
            self._plain.add(env.key)
            self.wake(uid)
            return
        with self._lock:
            self._asked.setdefault(env.key, set()).add(uid)
            if self.environment(env.key).state in ("making", "ready"):
                return
            self._failed.pop(env.key, None)
            self._make(env, grant)

    def environment(self, key: str) -> EnvSeen:
        if key in self._wanted:
            return self._on_image(self._wanted[key])
        if key in self._plain:
            return EnvSeen(state="ready")
        with self._lock:
            if key in self._failed:
                return self._failed[key]
            known = self._ready.get(key)
            if known is not None and (self.now() - known[2]).total_seconds() < RECHECK_S:
                return known[0]
            job = self._job(key)
            if job is not None:
                return self._in_making(key, job)
            return self._from_gateway(key)

    def archive(self, key: str) -> Archive | None:
        """None for an image as it is. Raises Unavailable when it is not there (any more)."""
        if key in self._wanted:
            rest = on_image(self._wanted[key], self.image(key))
            if is_plain(rest):
                return None
            key = rest.key
        if key in self._plain:
            return None
        with self._lock:
            self._ready.pop(key, None)
            self._absent.pop(key, None)
            if self._from_gateway(key).state != "ready":
                raise Unavailable(
                    "Unavailable", "the environment is not in the site store any more", "It is made anew."
                )
            return self._ready[key][1]

    def image(self, key: str) -> str:
        """The image that was built for an environment; empty for those that name theirs. Raises Unavailable."""
        if key not in self._wanted:
            return ""
        seen = self.builds.image(image_order(self._wanted[key]).key)
        if seen.state != "ready":
            raise Unavailable("Unavailable", "the image is not built (any more)", "It is built anew.")
        return seen.image

    def _on_image(self, env: EnvironmentOrder) -> EnvSeen:
        built = self.builds.image(image_order(env).key)
        if built.state != "ready":
            return built
        rest = on_image(env, built.image)
        return built if is_plain(rest) else self.environment(rest.key).model_copy(update={"image": built.image})

    def _job(self, key: str) -> Manifest | None:
        return self.watched.jobs.get(self.cluster.environments_namespace, preparation_name(key))

    def _in_making(self, key: str, job: Manifest) -> EnvSeen:
        attempt = int(labels_of(job).get(marks.ATTEMPT) or 1)
        uid = preparation_uid(key)
        states = self.door.states(uid, attempt)
        pods = self.watched.pods.select(f"{uid_hash(uid)}/{attempt}")
        view = View(job=job, pods=pods, states=states, nodes_away=self.watched.nodes_away())
        seen = self.patience.judged(uid, attempt, view, job_seen(view, self.now()))
        if seen.live or seen.state == "absent":
            return EnvSeen(state="making", progress=_progress(seen))
        if seen.state == "exited" and seen.exit_code == 0 and not seen.code:
            found = self._from_gateway(key, fresh=True)
            if found.state == "ready":
                self._tell(key, pods, found.lock)
                self._remove(key)
                return found
            if not seen.outputs_done:
                return EnvSeen(state="making", progress="storing the environment")
        self._tell(key, pods)
        if seen.state == "lost" and self._losses.get(key, 0) < MOST_LOSSES:
            # not the environment's fault: absent, so that it is asked for again
            self._losses[key] = self._losses.get(key, 0) + 1
            self._remove(key)
            return EnvSeen()
        return self._end_badly(key, seen)

    def _end_badly(self, key: str, seen: JobSeen) -> EnvSeen:
        code = "EnvironmentFailed" if not seen.code or seen.code == "UserCodeFailed" else seen.code
        message = "; ".join(seen.error_lines) or seen.message or f"the preparation ended with {seen.exit_code}"
        failed = EnvSeen(state="failed", code=code, message=message)
        self._failed[key] = failed
        self._remove(key)
        return failed

    def _from_gateway(self, key: str, fresh: bool = False) -> EnvSeen:
        asked = self._absent.get(key)
        if not fresh and asked is not None and (self.now() - asked).total_seconds() < RECHECK_S:
            return EnvSeen()
        try:
            found = self.door.prepared(key)
        except Unavailable as error:
            # whoever waits may still be canceled, and hears what it waits for
            return EnvSeen(state="making", progress=f"waiting for the site's gateway: {error.message}")
        if found is None:
            self._absent[key] = self.now()
            self._ready.pop(key, None)
            return EnvSeen()
        seen = _seen(found)
        self._absent.pop(key, None)
        self._losses.pop(key, None)
        self._ready[key] = (seen, Archive(str(found["digest"]), int(found["size"])), self.now())
        return seen

    def _make(self, env: EnvironmentOrder, grant: str) -> None:
        preparation = Preparation(env, self._next_attempt(env.key))
        made = make_preparation(preparation, self.cluster)
        uid, namespace = preparation_uid(env.key), self.cluster.environments_namespace
        prefix = f"{preparation_name(env.key)}-"
        self.door.admit_pods(uid, preparation.attempt, grant, namespace, prefix, kind="preparation")
        self._remove(env.key)
        for body in made.objects:
            self.kube.apply(body)
        job = self.kube.get(JOBS, namespace, preparation_name(env.key))
        if job is not None:
            self.watched.jobs.took(job)
        self._absent.pop(env.key, None)
        log.info("the environment %s is being made", env.key)

    def _next_attempt(self, key: str) -> int:
        """Attempts rise with the clock, so that none is used twice, also after a restart."""
        return int(self.now().timestamp())

    def _remove(self, key: str) -> None:
        name, namespace = preparation_name(key), self.cluster.environments_namespace
        self.kube.delete(JOBS, namespace, name)
        self.kube.delete(CONFIG_MAPS, namespace, name)
        self.watched.jobs.dropped(namespace, name)

    def _tell(self, key: str, pods: list[Manifest], lock: str = "") -> None:
        """Everyone who waited for it gets its log, and what was installed."""
        uids = self._asked.pop(key, set())
        if not uids:
            return
        try:
            text = b"".join(
                self.kube.pod_log(self.cluster.environments_namespace, name_of(pod), container)
                for pod in pods
                for container in ("stage", "main")
            )
            text += f"installed:\n{lock}\n".encode() if lock else b""
            for uid in uids:
                self.door.append_log(uid, 1, ENVIRONMENT_LOG, text)
        except FerryError as error:
            log.warning("the log of environment %s cannot be handed on: %s", key, error.message)


def _progress(seen: JobSeen) -> str:
    """In words; what a preparation brings is not what people wait for."""
    known = seen.message if seen.message and not seen.message.startswith(MAKING) else ""
    return f"{MAKING}: {known}" if known and seen.state != "staging" else MAKING


def _seen(found: Mapping[str, Any]) -> EnvSeen:
    return EnvSeen(
        state="ready", python=str(found.get("python") or ""), lock=str(found.get("lock") or ""),
        notes=tuple(found.get("notes") or ()),
    )  # fmt: skip
