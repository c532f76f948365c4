"""OnlineDeployments: each deployment of an endpoint as an object that people of the cluster can look at."""

from __future__ import annotations

import threading
from typing import Any

from ferryml.backends.kubernetes.kinds import ONLINE_DEPLOYMENTS
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.names import deployment_name, uid_hash
from ferryml.compile.kubernetes.pods import Owner
from ferryml.domain.orders import EndpointOrder
from ferryml.domain.statuses import EndpointStatus, RevisionStatus


class OnlineDeployments:
    """Written when something of them has changed; they go with the OnlineEndpoint that owns them."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._lock = threading.Lock()
        self._shown: dict[str, dict[str, tuple[Manifest, dict[str, Any]]]] = {}
        """uid -> name -> what was written."""

    def show(self, uid: str, order: EndpointOrder, status: EndpointStatus, owner: Owner) -> None:
        """Raises what the API server says."""
        wanted = dict(_made(uid, order, status, owner))
        with self._lock:
            before = self._shown.get(uid)
        known = before if before is not None else self._there(uid, order.namespace)
        for name, (body, told) in wanted.items():
            if known.get(name) != (body, told):
                self._kube.apply(body)
                self._kube.patch_status(ONLINE_DEPLOYMENTS, order.namespace, name, told)
        for name in known.keys() - wanted.keys():
            self._kube.delete(ONLINE_DEPLOYMENTS, order.namespace, name)
        with self._lock:
            self._shown[uid] = wanted

    def forget(self, uid: str) -> None:
        with self._lock:
            self._shown.pop(uid, None)

    def _there(self, uid: str, namespace: str) -> dict[str, tuple[Manifest, dict[str, Any]]]:
        """Those of an earlier life of the agent."""
        chosen = marks.selector({**marks.MANAGED, marks.UID: uid_hash(uid)})
        found = self._kube.list(ONLINE_DEPLOYMENTS, namespace, chosen).items
        return {str(body["metadata"]["name"]): (body, {}) for body in found}


def _made(
    uid: str, order: EndpointOrder, status: EndpointStatus, owner: Owner
) -> list[tuple[str, tuple[Manifest, dict[str, Any]]]]:
    names = sorted({one.deployment for one in order.revisions})
    return [(deployment_name(uid, name), _one(uid, order, status, owner, name)) for name in names]


def _one(
    uid: str, order: EndpointOrder, status: EndpointStatus, owner: Owner, name: str
) -> tuple[Manifest, dict[str, Any]]:
    revisions = [one for one in order.revisions if one.deployment == name]
    serving = order.serving.get(name, "")
    newest = revisions[-1]
    models = {one.revision: one.model_name for one in revisions}
    spec = {
        "endpoint": order.name, "deployment": name, "workspace": order.workspace, "compute": order.compute,
        "model": models.get(serving, newest.model_name), "revision": serving,
        "candidate": newest.revision if newest.revision != serving else "",
    }  # fmt: skip
    body: Manifest = {
        "apiVersion": marks.API_VERSION, "kind": "OnlineDeployment",
        "metadata": {
            "name": deployment_name(uid, name), "namespace": order.namespace,
            "labels": marks.labels_of("endpoint", uid, 1, order.workspace, order.compute),
            "annotations": marks.annotations_of(uid, f"{order.name}/{name}"), "ownerReferences": owner.references(),
        },
        "spec": spec,
    }  # fmt: skip
    return body, _told(status, [one.revision for one in revisions], serving)


def _told(status: EndpointStatus, revisions: list[str], serving: str) -> dict[str, Any]:
    """State and reason of the newest; instances of what serves, else of the newest."""
    known = {one.revision: one for one in status.revisions if one.revision in revisions}
    newest = known.get(revisions[-1], RevisionStatus(revision="", deployment="", state="Creating"))
    shown = known.get(serving, newest)
    traffic = sum(status.weights.get(revision, 0) for revision in revisions)
    return {
        "state": newest.state, "ready": shown.ready, "wanted": shown.wanted, "traffic": traffic,
        "code": newest.code, "reason": newest.reason,
    }  # fmt: skip
