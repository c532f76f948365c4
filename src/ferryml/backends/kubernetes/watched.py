"""What the agent keeps an eye on in its cluster, each kind in a cache: what is ours, nodes, instance types."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import (
    ALIAS_INSTANCE_TYPES,
    DEPLOYMENTS,
    INSTANCE_TYPES,
    JOBS,
    ML_JOBS,
    NODES,
    ONLINE_ENDPOINTS,
    PODS,
    Kind,
)
from ferryml.backends.kubernetes.kube import Kube, Manifest, annotations_of, labels_of, meta, name_of
from ferryml.backends.kubernetes.room import needs_of
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.names import uid_hash
from ferryml.domain.errors import Unavailable
from ferryml.domain.explain.places import requests

LAST_SEEN = "kubectl.kubernetes.io/last-applied-configuration"


class Watched:
    """Caches of one cluster. `start` lists everything; `heard` is called after each change.

    Args:
        namespaces: where work may be, the system namespace among them; empty: everywhere.
        heard: told of which uid there is news; empty: of any.
        wish: told of each MLJob and OnlineEndpoint that changes and whether it is gone.
        sighted: told of each namespace whose MLJobs may be looked at again.
    """

    def __init__(
        self,
        kube: Kube,
        namespaces: Sequence[str],
        heard: Callable[[str], None],
        wish: Callable[[Manifest, bool], None],
        sighted: Callable[[str], None] = lambda namespace: None,
    ) -> None:
        ours = marks.selector(marks.MANAGED)
        self._away: frozenset[str] = frozenset()
        wake: Callable[[Manifest, bool], None] = lambda body, gone: heard(annotations_of(body).get(marks.UID, ""))  # noqa: E731  one shape for all

        def told(body: Manifest, gone: bool) -> None:
            wish(body, gone)
            if gone:
                heard(annotations_of(body).get(marks.UID, ""))

        def node(body: Manifest, gone: bool) -> None:
            away = frozenset(name_of(each) for each in self.nodes.all() if not _is_ready(each))
            if away != self._away:
                self._away = away
                heard("")

        def informer(kind: Kind, **more: Any) -> Informer:
            return Informer(kube, kind, namespaces if kind.namespaced else (), **{"heard": wake, **more})

        self.jobs = informer(JOBS, labels=ours, index=words_of, keep=slim_job)
        self.pods = informer(PODS, labels=ours, index=words_of, keep=slim_pod)
        self.nodes = informer(NODES, keep=slim_node, heard=node)
        self.types = informer(INSTANCE_TYPES)
        self.alias_types = informer(ALIAS_INSTANCE_TYPES)
        self.ml_jobs = informer(ML_JOBS, heard=told, keep=only_meta)
        self.ml_jobs.sighted = sighted
        self.endpoints = informer(ONLINE_ENDPOINTS, heard=told, keep=only_meta)
        self.deployments = informer(DEPLOYMENTS, labels=ours, index=words_of, keep=slim_deployment)
        self._all = (
            self.jobs, self.pods, self.nodes, self.types, self.alias_types, self.ml_jobs, self.endpoints,
            self.deployments,
        )  # fmt: skip

    def start(self, limit_s: float) -> None:
        """Raises Unavailable when the cluster did not tell everything within `limit_s`."""
        for informer in self._all:
            informer.start()
        until = time.monotonic() + limit_s
        if not all(informer.wait(max(0.1, until - time.monotonic())) for informer in self._all):
            self.stop()
            raise Unavailable("ClusterUnreachable", f"the cluster did not list what is in it within {limit_s:g} s")

    def stop(self) -> None:
        for informer in self._all:
            informer.stop()

    def is_blind(self, namespace: str) -> bool:
        """Whether it cannot be told at present what becomes of jobs there."""
        return self.jobs.is_blind(namespace) or self.pods.is_blind(namespace)

    def nodes_away(self) -> frozenset[str]:
        """Nodes that do not answer."""
        return self._away


def word_of(uid: str, attempt: int | str) -> str:
    """Under which an attempt's objects are found in the caches."""
    return f"{uid_hash(uid)}/{attempt}"


def words_of(body: Manifest) -> Iterable[str]:
    found = labels_of(body)
    return (f"{found.get(marks.UID, '')}/{found.get(marks.ATTEMPT, '')}", found.get(marks.UID, ""))


def slim_pod(body: Manifest) -> Manifest:
    """Without its plan: a thousand pods in memory are small so. `requests` is what it was promised, in base units."""
    node = (body.get("spec") or {}).get("nodeName")
    kept = {"metadata": _slim_meta(body), "spec": {"nodeName": node}, "status": body.get("status") or {}}
    return {**kept, "requests": requests(body)}


def slim_job(body: Manifest) -> Manifest:
    """`needs` is what one of its pods asks of a node."""
    whole = body.get("spec") or {}
    spec = {key: value for key, value in whole.items() if key != "template"}
    kept = {"metadata": _slim_meta(body), "spec": spec, "status": body.get("status") or {}}
    several = int(whole.get("completions") or 1) > 1
    return {**kept, "needs": needs_of(whole["template"])} if several and "template" in whole else kept


def slim_deployment(body: Manifest) -> Manifest:
    """Without its template, but for how long its pods may take to end."""
    whole = body.get("spec") or {}
    inner = ((whole.get("template") or {}).get("spec") or {}).get("terminationGracePeriodSeconds")
    spec = {"replicas": whole.get("replicas", 1), "grace_s": inner or 0}
    return {"metadata": _slim_meta(body), "spec": spec, "status": body.get("status") or {}}


def slim_node(body: Manifest) -> Manifest:
    """Without the images that lie on it."""
    status = {key: value for key, value in (body.get("status") or {}).items() if key != "images"}
    return {**body, "status": status}


def only_meta(body: Manifest) -> Manifest:
    return {"metadata": _slim_meta(body)}


def _slim_meta(body: Manifest) -> Manifest:
    kept = {key: value for key, value in meta(body).items() if key not in ("managedFields", "annotations")}
    notes = {key: value for key, value in annotations_of(body).items() if key != LAST_SEEN}
    return {**kept, "annotations": notes} if notes else kept


def _is_ready(node: Manifest) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
