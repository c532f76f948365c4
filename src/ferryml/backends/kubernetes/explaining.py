"""Why attempts wait or fail, from what the caches hold at once and from what a thread of its own asks beside."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ferryml.backends.kubernetes.kinds import EVENTS, NAMESPACES, PODS, QUOTAS, VOLUME_CLAIMS, Kind
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, meta, name_of, namespace_of
from ferryml.backends.kubernetes.observe import View
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.names import uid_hash
from ferryml.domain.errors import FerryError
from ferryml.domain.explain import Facts, explain
from ferryml.domain.orders import JobOrder
from ferryml.domain.seen import JobSeen
from ferryml.domain.statuses import Finding

log = logging.getLogger(__name__)

WORKLOADS = Kind("kueue.x-k8s.io", "v1beta1", "Workload", "workloads")
QUEUE = "kueue.x-k8s.io/queue-name"
SOON_S = 2.0
"""Whatever waits for less is not worth a question to the API server."""
AGAIN_S = 10.0
"""How long an answer counts while nothing else changes."""
MOST_PODS = 4
"""Pods of one attempt whose events are asked for: the others wait for the same reason."""
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Beside:
    """What the caches do not hold of one attempt."""

    at: datetime
    pods: dict[str, Manifest] = field(default_factory=dict)
    """name -> spec."""
    events: tuple[Manifest, ...] = ()
    quotas: tuple[Manifest, ...] = ()
    claims: tuple[Manifest, ...] = ()
    namespace: Manifest | None = None
    workload: Manifest | None = None


class KubeExplainer:
    """`jobs.Explainer`. Answers at once; what a question to the API server adds comes with a later look.

    Args:
        order: what is wished for under a uid.
        heard: called when something new is known.
        clock_skew: site's clock minus the server's, s.
    """

    def __init__(
        self, kube: Kube, watched: Watched, order: Callable[[str], JobOrder | None], now: Callable[[], datetime],
        heard: Callable[[str], None], autoscaled: bool = False,
    ) -> None:  # fmt: skip
        self._kube, self._watched, self._order, self._now = kube, watched, order, now
        self._heard, self._autoscaled = heard, autoscaled
        self._since: dict[Key, datetime] = {}
        self._beside: dict[Key, Beside] = {}
        self._said: dict[Key, tuple[object, tuple[Finding, ...]]] = {}
        self._asked: dict[Key, View] = {}
        self._wanted = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ferry-explainer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wanted:
            self._stopping = True
            self._wanted.notify()

    def findings(self, uid: str, attempt: int, view: View, seen: JobSeen) -> tuple[Finding, ...]:
        """Nothing for what runs or ended well."""
        key = (uid, attempt)
        failed = seen.state in ("exited", "lost") and bool(seen.exit_code or seen.code or seen.state == "lost")
        if seen.state not in ("queued", "staging") and not failed:
            self._since.pop(key, None)
            return ()
        now = self._now()
        waited = (now - self._since.setdefault(key, now)).total_seconds()
        beside = self._beside.get(key)
        if (failed or waited >= SOON_S) and (beside is None or (now - beside.at).total_seconds() >= AGAIN_S):
            self._ask(key, view)
        mark = (_versions(view), beside, seen.exit_code, seen.message, int(waited // AGAIN_S))
        known = self._said.get(key)
        if known is None or known[0] != mark:
            known = mark, explain(self._facts(uid, view, seen, beside, waited))
            self._said[key] = known
        return known[1]

    def forget(self, uid: str) -> None:
        for memory in (self._since, self._beside, self._said, self._asked):
            for key in [key for key in memory if key[0] == uid]:
                memory.pop(key, None)

    def _facts(self, uid: str, view: View, seen: JobSeen, beside: Beside | None, waited: float) -> Facts:
        order, more = self._order(uid), beside or Beside(self._now())
        pods = tuple({**more.pods.get(name_of(pod), {}), **pod, "spec": _spec(more, pod)} for pod in view.pods)
        return Facts(
            pods=pods, events=more.events, nodes=tuple(self._watched.nodes.all()), quotas=more.quotas,
            claims=more.claims, job=view.job, namespace=more.namespace, workload=more.workload,
            instance_type=order.instance_type if order else "", instance_count=order.instance_count if order else 1,
            runner=dict(view.states), phase=seen.state, exit_code=seen.exit_code, error_lines=seen.error_lines,
            gang_waiting=view.waiting if _is_gang(view.job) else "", waited_s=waited, autoscaled=self._autoscaled,
        )  # fmt: skip

    def _ask(self, key: Key, view: View) -> None:
        with self._wanted:
            self._asked[key] = view
            self._wanted.notify()

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not self._asked and not self._stopping:
                    self._wanted.wait()
                if self._stopping:
                    return
                key, view = next(iter(self._asked.items()))
            try:
                self._beside[key] = self.look(key, view)
            except FerryError as error:
                log.debug("%s: %s: %s", key[0], error.code, error.message)
                self._beside[key] = Beside(self._now())
            with self._wanted:
                self._asked.pop(key, None)
            self._heard(key[0])

    def look(self, key: Key, view: View) -> Beside:
        """Ask the API server; raises what it answers."""
        bodies = [body for body in (view.job, *view.pods) if body is not None]
        namespace = next((namespace_of(body) for body in bodies), "") or self._namespace(key[0])
        if not namespace:
            return Beside(self._now())
        chosen = marks.selector({marks.UID: uid_hash(key[0]), marks.ATTEMPT: str(key[1])})
        pods = {name_of(body): body for body in self._kube.list(PODS, namespace, chosen).items}
        claims = self._claims(namespace, pods.values())
        first = {name_of(pod): pod for pod in view.pods}
        asked = list({**first, **pods}.values())[:MOST_PODS]
        names = [name_of(body) for body in (view.job, *asked, *claims) if body is not None]
        queued = view.job is not None and QUEUE in labels_of(view.job)
        return Beside(
            at=self._now(), pods=pods, claims=tuple(claims),
            events=tuple(each for name in names for each in self._events(namespace, name)),
            quotas=() if pods else tuple(self._try(QUOTAS, namespace)),
            namespace=None if pods else self._one(NAMESPACES, "", namespace),
            workload=self._workload(namespace, view.job) if queued else None,
        )  # fmt: skip

    def _events(self, namespace: str, name: str) -> Iterator[Manifest]:
        return self._try(EVENTS, namespace, f"involvedObject.name={name}")

    def _namespace(self, uid: str) -> str:
        order = self._order(uid)
        return order.namespace if order else ""

    def _claims(self, namespace: str, pods: Iterable[Manifest]) -> list[Manifest]:
        wanted = {
            str((volume.get("persistentVolumeClaim") or {}).get("claimName"))
            for pod in pods for volume in (pod.get("spec") or {}).get("volumes") or ()
            if volume.get("persistentVolumeClaim")
        }  # fmt: skip
        return [body for body in self._try(VOLUME_CLAIMS, namespace) if name_of(body) in wanted] if wanted else []

    def _workload(self, namespace: str, job: Manifest | None) -> Manifest | None:
        uid = meta(job or {}).get("uid")
        owned = (
            body for body in self._try(WORKLOADS, namespace)
            if any(each.get("uid") == uid for each in meta(body).get("ownerReferences") or ())
        )  # fmt: skip
        return next(owned, None)

    def _try(self, kind: Kind, namespace: str, fields: str = "") -> Iterator[Manifest]:
        """What may not be seen is not known."""
        try:
            yield from self._kube.list(kind, namespace, fields=fields).items
        except FerryError as error:
            log.debug("%s in %s: %s", kind.plural, namespace, error.message)

    def _one(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return self._kube.get(kind, namespace, name)
        except FerryError:
            return None


def _spec(more: Beside, pod: Manifest) -> Manifest:
    whole = more.pods.get(name_of(pod), {}).get("spec") or {}
    return {**whole, **(pod.get("spec") or {})}


def _versions(view: View) -> tuple[object, ...]:
    bodies = [body for body in (view.job, *view.pods) if body is not None]
    states = tuple(sorted((rank, str(state)) for rank, state in view.states.items()))
    return (*(meta(body).get("resourceVersion") for body in bodies), states, view.waiting)


def _is_gang(job: Manifest | None) -> bool:
    spec = (job or {}).get("spec") or {}
    return bool(spec.get("suspend")) and int(spec.get("completions") or 1) > 1
