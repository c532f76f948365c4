"""What an API server says when it says no, put into Ferry's words once."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused, Unavailable

TRY_AGAIN = "The agent tries again by itself; check the cluster's API server."


def unreachable(url: str, error: httpx.HTTPError) -> FerryError:
    """No answer at all."""
    why = str(error) or type(error).__name__
    if isinstance(error.__cause__, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in why:
        return Unavailable("TlsFailed", f"the certificate of the API server {url} could not be verified: {why}")
    return Unavailable("ClusterUnreachable", f"the API server {url} did not answer: {why}", TRY_AGAIN)


def refusal(status: int, body: dict[str, Any]) -> FerryError:
    """An answer that is no success; `details` carries what callers look at."""
    message = str(body.get("message") or f"the API server answered {status}")[:2000]
    reason = str(body.get("reason") or "")
    causes = [str(cause.get("reason", "")) for cause in (body.get("details") or {}).get("causes") or ()]
    details = {"status": status, "reason": reason, "causes": causes, "kind": (body.get("details") or {}).get("kind")}
    if status == 404:
        return NotFound("NotFound", message, details=details)
    if status == 409:
        taken = reason == "AlreadyExists"
        return Conflict("AlreadyExists" if taken else "VersionConflict", message, details=details)
    if status == 403:
        return Forbidden(
            "ClusterForbidden", message, "Apply the RoleBinding of that namespace, or see the message.", details
        )
    if status == 401:
        return Unavailable("ClusterUnreachable", f"the API server does not know us: {message}", TRY_AGAIN, details)
    if status == 500 and "field not declared in schema" in message:
        # so it says when a server-side apply names an unknown field
        return Refused("ClusterRefused", message, "", details)
    if status == 429 or status >= 500:
        return Unavailable("ClusterUnreachable", f"the API server cannot answer: {message}", TRY_AGAIN, details)
    return Refused("ClusterRefused", message, "", details)


def namespace_is_missing(error: FerryError) -> bool:
    """The namespace is not there, or is just being removed."""
    if error.details.get("status") == 404:
        return error.details.get("kind") == "namespaces"
    return "NamespaceTerminating" in (error.details.get("causes") or ())


def over_quota(error: FerryError) -> bool:
    """A ResourceQuota said no: room may come by itself."""
    return error.details.get("status") == 403 and "exceeded quota" in error.message


def no_namespace(namespace: str, why: str) -> Refused:
    """Nothing can be made there; the hint is for IT."""
    return Refused(
        "NamespaceMissing", f"the compute's namespace cannot be used: {why}",
        f"kubectl create namespace {namespace or 'NAME'}, and give the agent its RoleBinding there.",
    )  # fmt: skip


def not_made(error: FerryError, namespace: str) -> FerryError:
    """Why work could not be made, in its own words; what time may mend is Unavailable."""
    if namespace_is_missing(error):
        return no_namespace(namespace, error.message)
    if over_quota(error):
        return Unavailable("QuotaExceeded", error.message, error.hint)
    if isinstance(error, Conflict):
        return Unavailable("Unavailable", error.message)
    if isinstance(error, Forbidden):
        return Refused("ClusterForbidden", error.message, error.hint, error.details)
    return error
