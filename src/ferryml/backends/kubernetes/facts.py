"""The cluster as doctor and inventory ask for it: kinds as text, answers as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferryml.backends.kubernetes.kinds import Kind
from ferryml.backends.kubernetes.kube import Kube, Manifest
from ferryml.domain.errors import NotFound
from ferryml.domain.orders import Json


class KubeFacts:
    """`agent.ports.Kube`."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def version(self) -> str:
        return self._kube.version()

    def get(self, kind: str, name: str, namespace: str = "") -> Mapping[str, Json] | None:
        return self._kube.get(kind_of(kind), namespace, name)

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Sequence[Mapping[str, Json]]:
        try:
            return self._kube.list(kind_of(kind), namespace, selector).items
        except NotFound:
            return ()

    def create(self, kind: str, body: Mapping[str, Json], namespace: str = "") -> Mapping[str, Json]:
        made: Manifest = dict(body)
        if namespace:
            made["metadata"] = {**(made.get("metadata") or {}), "namespace": namespace}
        return self._kube.create(kind_of(kind), made)

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        self._kube.delete(kind_of(kind), namespace, name, grace_s=0)

    def log(self, pod: str, namespace: str, container: str = "") -> str:
        return self._kube.pod_log(namespace, pod, container).decode(errors="replace")


def kind_of(text: str) -> Kind:
    """`v1/pods` or `batch/v1/jobs`; a namespace is used where one is given."""
    *group, version, plural = text.split("/")
    return Kind("/".join(group), version, "", plural)
