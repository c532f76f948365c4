"""Deployments of endpoints as Deployments of a cluster: one for each revision, seen through caches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ferryml.agent.ports import LogRead
from ferryml.backends.kubernetes.gateway_door import ClusterDoor
from ferryml.backends.kubernetes.jobs import Explainer, NoExplainer
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, DEPLOYMENTS, POD_BUDGETS, SERVICES
from ferryml.backends.kubernetes.kube import Kube, Manifest, annotations_of, labels_of, meta, name_of, namespace_of
from ferryml.backends.kubernetes.ledger import Held
from ferryml.backends.kubernetes.observe import View
from ferryml.backends.kubernetes.preparations import Preparations
from ferryml.backends.kubernetes.serving_logs import ServingLogs
from ferryml.backends.kubernetes.serving_pods import Sight, pod_sight
from ferryml.backends.kubernetes.trouble import namespace_is_missing, no_namespace, not_made
from ferryml.backends.kubernetes.watched import Watched
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.compile.kubernetes.names import revision_name, uid_hash
from ferryml.compile.kubernetes.pods import Owner
from ferryml.compile.kubernetes.policies import serving_policies
from ferryml.compile.kubernetes.serving import (
    ORDER,
    SCORING_PORT,
    Manifests,
    Served,
    grace_s,
    make_revision,
    order_mark,
)
from ferryml.domain.errors import FerryError, NotFound, Unavailable
from ferryml.domain.instance_types import choose, table
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, RevisionOrder
from ferryml.domain.seen import InstanceSeen, JobSeen

log = logging.getLogger(__name__)

EXPLAINED = ("", "PodUnschedulable", "ImagePullLoopBackOff", "ContainerCannotStart", "StagingFailed")
"""Codes of what may keep a pod whose cause lies in the cluster."""
KEPT_FRESH = timedelta(minutes=10)
"""How often what new pods of a revision need is made sure of: admission, plan, policies."""
Key = tuple[str, str]
"""(uid of the endpoint, revision)."""


@dataclass
class KubeServing:
    """The ServingBackend of a cluster. Draining is Kubernetes' own; the grace of pods is in their order.

    Args:
        wish: what is wished for under a uid.
        held: where its OnlineEndpoint is.
        patience_s: how long an image that cannot be pulled, and the like, is waited for.
    """

    kube: Kube
    watched: Watched
    door: ClusterDoor
    environments: Preparations
    cluster: Cluster
    wish: Callable[[str], Wish | None]
    held: Callable[[str], Held | None]
    output: ServingLogs
    patience_s: float
    now: Callable[[], datetime]
    explainer: Explainer = field(default_factory=NoExplainer)
    _fresh: dict[Key, datetime] = field(default_factory=dict)
    _guarded: dict[str, datetime] = field(default_factory=dict)
    _numbers: dict[Key, dict[str, int]] = field(default_factory=dict)
    """Name of a pod -> its number."""
    _since: dict[str, datetime] = field(default_factory=dict)
    """uid of a pod -> since when it is in trouble that may pass."""

    def scale(self, uid: str, rev: RevisionOrder, count: int, grace_s: float) -> None:
        """Raises Refused when the order cannot be carried out here, Unavailable when it can later."""
        wish, held = self.wish(uid), self.held(uid)
        if wish is None or held is None or not isinstance(wish.order, EndpointOrder):
            raise Unavailable("Unavailable", f"{uid} is not written down yet")
        if held.trouble:
            raise no_namespace(wish.order.namespace, held.trouble)
        known = self._deployment(uid, rev.revision)
        try:
            if known is None or _is_of_another_order(known, rev):
                self._make(wish, wish.order, held, rev, count)
                return
            self._keep_fresh(wish, wish.order, held, rev, count)
            before = int(known["spec"]["replicas"])
            if (count > 1) != (before > 1):
                self._keep_budget(wish, wish.order, held, rev, count)
            if before != count:
                change = {"spec": {"replicas": count}}
                self._took(self.kube.patch(DEPLOYMENTS, namespace_of(known), name_of(known), change))
        except FerryError as error:
            if isinstance(error, NotFound) and not namespace_is_missing(error):
                raise Unavailable("Unavailable", error.message) from error
            raise not_made(error, wish.order.namespace) from error

    def stop(self, uid: str, revision: str, grace_s: float) -> None:
        known = self._deployment(uid, revision)
        if known is not None:
            namespace, name = namespace_of(known), name_of(known)
            for kind in (DEPLOYMENTS, POD_BUDGETS, SERVICES, CONFIG_MAPS):
                self.kube.delete(kind, namespace, name)
            self.watched.deployments.dropped(namespace, name)
        self._fresh.pop((uid, revision), None)

    def observe(self, uid: str) -> list[InstanceSeen]:
        pods = self.watched.pods.select(uid_hash(uid))
        self.output.follow(uid, ((labels_of(pod).get(marks.REVISION, ""), pod) for pod in pods))
        found: list[InstanceSeen] = []
        revisions = {labels_of(pod).get(marks.REVISION, "") for pod in pods} | {
            labels_of(body).get(marks.REVISION, "") for body in self.watched.deployments.select(uid_hash(uid))
        }
        for revision in sorted(revisions - {""}):
            mine = [pod for pod in pods if labels_of(pod).get(marks.REVISION) == revision]
            found += self._seen(uid, revision, mine)
        return found

    def logs(self, uid: str, revision: str, container: str, after: int = 0, limit: int = 1 << 20) -> LogRead:
        return self.output.read(uid, revision, container, after, limit)

    def clean(self, uid: str) -> None:
        """The rest goes with the OnlineEndpoint that owns it."""
        for body in self.watched.deployments.select(uid_hash(uid)):
            self.stop(uid, labels_of(body).get(marks.REVISION, ""), 0)
        self.output.forget(uid)
        self.explainer.forget(uid)
        for key in [key for key in {*self._fresh, *self._numbers} if key[0] == uid]:
            self._fresh.pop(key, None)
            self._numbers.pop(key, None)

    def _deployment(self, uid: str, revision: str) -> Manifest | None:
        name = revision_name(uid, revision)
        found = (one for one in self.watched.deployments.select(uid_hash(uid)) if name_of(one) == name)
        return next((one for one in found if "deletionTimestamp" not in meta(one)), None)

    # seeing

    def _seen(self, uid: str, revision: str, pods: list[Manifest]) -> list[InstanceSeen]:
        body = self._deployment(uid, revision)
        sights = [(pod, self._sight(uid, pod)) for pod in pods]
        known = [(pod, sight) for pod, sight in sights if sight is not None]
        ending = [(pod, sight) for pod, sight in known if body is None or sight.state == "ending"]
        here = [(pod, sight) for pod, sight in known if body is not None and sight.state != "ending"]
        # while pods are replaced there is one more than asked for, which is nobody's instance
        here.sort(key=lambda each: (each[1].state != "ready", str(meta(each[0]).get("creationTimestamp", ""))))
        count = int(body["spec"]["replicas"]) if body is not None else 0
        numbers = self._numbered((uid, revision), [name_of(pod) for pod, _ in here[:count]])
        found = [_instance(revision, numbers[name_of(pod)], pod, sight) for pod, sight in here[:count]]
        found += [_instance(revision, count + place, pod, Sight("ending")) for place, (pod, _) in enumerate(ending)]
        if body is not None and len(here) < count:
            free = next(number for number in range(count) if number not in numbers.values())
            found.append(_unmade(revision, free, body))
        return sorted(found, key=lambda one: one.instance)

    def _numbered(self, key: Key, names: list[str]) -> dict[str, int]:
        """Who has a number keeps it; others get the lowest that is free."""
        before = self._numbers.get(key, {})
        kept = {name: before[name] for name in names if name in before and before[name] < len(names)}
        free = iter(number for number in range(len(names)) if number not in kept.values())
        numbers = {name: kept[name] if name in kept else next(free) for name in names}
        self._numbers[key] = numbers
        return numbers

    def _sight(self, uid: str, pod: Manifest) -> Sight | None:
        sight = pod_sight(pod, self.output.printed(uid, pod))
        ident = str(meta(pod).get("uid", ""))
        if sight is None or not sight.trouble:
            self._since.pop(ident, None)
        elif (self.now() - self._since.setdefault(ident, self.now())).total_seconds() >= self.patience_s:
            sight = replace(sight, state="failed", code=sight.trouble)
        if sight is not None and sight.wants_crash:
            self.output.ask_crash(uid, pod)
        return self._explained(uid, pod, sight)

    def _explained(self, uid: str, pod: Manifest, sight: Sight | None) -> Sight | None:
        """With what the rules of the explainer know of its cause; programs of users speak for themselves."""
        if sight is None or sight.state not in ("starting", "failed") or sight.code not in EXPLAINED:
            return sight
        waiting = JobSeen(state="queued" if sight.code == "PodUnschedulable" else "staging")
        found = self.explainer.findings(uid, 1, View(pods=(pod,)), waiting)
        if not found:
            return sight
        said = f"{found[0].cause} ({found[0].evidence}). {found[0].fix}" if found[0].evidence else found[0].cause
        return replace(sight, reason=said)

    # making

    def _make(self, wish: Wish, order: EndpointOrder, held: Held, rev: RevisionOrder, count: int) -> None:
        made = self._prepare(wish, order, held, rev, count)
        self._took(self.kube.apply(made.deployment))
        log.info("%s: revision %s is made, %d instances", wish.uid, rev.revision, count)

    def _keep_fresh(self, wish: Wish, order: EndpointOrder, held: Held, rev: RevisionOrder, count: int) -> None:
        """Pods that come later find what they need; those that are there need nothing of it now."""
        at = self._fresh.get((wish.uid, rev.revision))
        if at is not None and self.now() - at < KEPT_FRESH:
            return
        try:
            self._prepare(wish, order, held, rev, count)
        except Unavailable as error:
            log.warning("%s: new pods of %s may have to wait: %s", wish.uid, rev.revision, error.message)
            self._fresh[wish.uid, rev.revision] = self.now()

    def _keep_budget(self, wish: Wish, order: EndpointOrder, held: Held, rev: RevisionOrder, count: int) -> None:
        """With the second pod it comes, with the last but one it goes."""
        budget = self._manifests(wish, order, held, rev, count).budget
        if budget is not None:
            self.kube.apply(budget)
        else:
            self.kube.delete(POD_BUDGETS, order.namespace, revision_name(wish.uid, rev.revision))

    def _manifests(self, wish: Wish, order: EndpointOrder, held: Held, rev: RevisionOrder, count: int) -> Manifests:
        types, _ = table([*self.watched.types.all(), *self.watched.alias_types.all()])
        served = Served(
            uid=wish.uid, endpoint=order.name, namespace=order.namespace, workspace=order.workspace,
            compute=order.compute, revision=rev, count=count, instance_type=choose(types, rev.instance_type),
            owner=Owner(held.kind.kind, held.name, held.object_uid),
            environment=self.environments.archive(rev.environment.key),
            image=self.environments.image(rev.environment.key),
        )  # fmt: skip
        return make_revision(served, self.cluster)

    def _prepare(self, wish: Wish, order: EndpointOrder, held: Held, rev: RevisionOrder, count: int) -> Manifests:
        made = self._manifests(wish, order, held, rev, count)
        prefix = f"{revision_name(wish.uid, rev.revision)}-"
        self.door.admit_pods(wish.uid, 1, wish.grant, order.namespace, prefix, kind="serving")
        self._guard(order.namespace)
        self.kube.apply(made.plan)
        self.kube.apply(made.service)
        if made.budget is not None:
            self.kube.apply(made.budget)
        self._fresh[wish.uid, rev.revision] = self.now()
        return made

    def _guard(self, namespace: str) -> None:
        """Before the first pod, and anew if someone opened it."""
        at = self._guarded.get(namespace)
        if at is None or self.now() - at >= KEPT_FRESH:
            for body in serving_policies(namespace, self.cluster):
                self.kube.apply(body)
            self._guarded[namespace] = self.now()

    def _took(self, body: Manifest) -> None:
        self.watched.deployments.took(body)


def _is_of_another_order(body: Manifest, rev: RevisionOrder) -> bool:
    return annotations_of(body).get(ORDER) != order_mark(rev) or int(body["spec"]["grace_s"]) < grace_s(rev)


def _instance(revision: str, number: int, pod: Manifest, sight: Sight) -> InstanceSeen:
    port = annotations_of(pod).get(SCORING_PORT, "")
    return InstanceSeen(
        revision=revision, instance=number, state=sight.state, port=int(port) if port.isdigit() else None,
        restarts=sight.restarts, log_tail=sight.tail, code=sight.code, reason=sight.reason,
    )  # fmt: skip


def _unmade(revision: str, number: int, body: Manifest) -> InstanceSeen:
    """An instance whose pod is not there yet, with what its maker was told."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    failed = [one for one in conditions if one.get("type") == "ReplicaFailure" and one.get("status") == "True"]
    said = str(failed[0].get("message") or "") if failed else ""
    code = "OutOfQuota" if "exceeded quota" in said else "PodRejected" if said else ""
    reason = said or "waiting for its pod to be made"
    return InstanceSeen(revision=revision, instance=number, state="starting", code=code, reason=reason)
