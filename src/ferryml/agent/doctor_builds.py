"""The doctor's lines on built images: is their namespace there, and does it let buildah work."""

from __future__ import annotations

from collections.abc import Iterator

from ferryml.agent.ports import Kube
from ferryml.domain.statuses import Finding

CHECK = "builds"
ENFORCE = "pod-security.kubernetes.io/enforce"


def builds_findings(kube: Kube, namespace: str) -> Iterator[Finding]:
    """Of a site that has a registry for what it builds."""
    body = kube.get("v1/namespaces", namespace)
    if body is None:
        yield Finding(
            check=CHECK, code="NamespaceMissing", level="failed",
            cause=f"the namespace {namespace}, where images are built, is not there",
            fix=f"kubectl create namespace {namespace}, then helm upgrade: it also makes what belongs in it.",
        )  # fmt: skip
        return
    level = str(((body.get("metadata") or {}).get("labels") or {}).get(ENFORCE) or "")
    if level in ("baseline", "restricted"):
        yield Finding(
            check=CHECK, code="AdmissionDenied", level="failed",
            cause=f"the namespace {namespace} lets no pod make user namespaces, which builds need",
            evidence=f"{ENFORCE}={level}",
            fix=f"kubectl label --overwrite namespace {namespace} {ENFORCE}=privileged; nothing but builds runs in it.",
        )  # fmt: skip
        return
    yield Finding(check=CHECK, code="Ok", level="ok", cause="images can be built", evidence=namespace)
