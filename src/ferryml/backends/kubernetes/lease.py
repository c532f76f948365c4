"""The lease of a site's agents as a Lease object of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ferryml.agent.ports import LeaseSeen
from ferryml.backends.kubernetes.kinds import LEASES
from ferryml.backends.kubernetes.kube import Kube, Manifest, meta, version_of

NAME = "ferry-agent"


class KubeLease:
    """`agent.ports.LeaseBook`. Needs a kube without a fence: who does not lead must be able to ask for it."""

    def __init__(self, kube: Kube, namespace: str, lease_s: float, now: Callable[[], datetime]) -> None:
        self._kube, self._namespace, self._lease_s, self._now = kube, namespace, lease_s, now
        self._body: Manifest | None = None

    def read(self) -> LeaseSeen:
        self._body = self._kube.get(LEASES, self._namespace, NAME)
        return LeaseSeen() if self._body is None else _seen(self._body)

    def write(self, holder: str, after: LeaseSeen) -> LeaseSeen:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (self._body or {}).get("spec") or {}
        moved = old.get("holderIdentity") != holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": int(self._lease_s),
            "acquireTime": now if moved else old.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (1 if moved and old else 0),
        }
        body: Manifest = {
            "apiVersion": LEASES.api_version, "kind": LEASES.kind,
            "metadata": {"name": NAME, "namespace": self._namespace}, "spec": spec,
        }  # fmt: skip
        if not after.version:
            self._body = self._kube.create(LEASES, body)
        else:
            body["metadata"] |= {"resourceVersion": after.version, "uid": meta(self._body or {}).get("uid", "")}
            self._body = self._kube.replace(LEASES, body)
        return _seen(self._body)


def _seen(body: Manifest) -> LeaseSeen:
    spec = body.get("spec") or {}
    return LeaseSeen(
        holder=str(spec.get("holderIdentity") or ""),
        version=version_of(body),
        duration_s=float(spec.get("leaseDurationSeconds") or 15),
    )
