"""What objects in a cluster are called: within DNS limits, never two alike, and no name a part of another's prefix."""

from __future__ import annotations

import hashlib
import re

from ferryml.domain.orders import EnvironmentOrder

HASH_DIGITS = 20
SLUG_LENGTH = HASH_DIGITS
"""No longer than the hash: else a job's name could be chosen so that its pods' names begin like another job's."""
LONGEST = SLUG_LENGTH + 1 + HASH_DIGITS


def uid_hash(uid: str) -> str:
    """First 20 hex digits of the uid's sha256: a label's value, and the end of every name made from the uid."""
    return hashlib.sha256(uid.encode()).hexdigest()[:HASH_DIGITS]


def resource_name(uid: str) -> str:
    """A DNS label of at most 41 characters for a job or endpoint: the end of its name for people, its hash for us."""
    name = uid.split(".", 2)[-1].lower()
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:SLUG_LENGTH].strip("-")
    if not slug or not slug[0].isalpha():
        slug = f"j-{slug}"[:SLUG_LENGTH].strip("-")
    return f"{slug}-{uid_hash(uid)}"


def attempt_name(uid: str, attempt: int) -> str:
    """Of an attempt's Job, ConfigMap and Service. Its pods are this, a dash, and what the Job controller adds."""
    return f"{resource_name(uid)}-{attempt}"


def pod_prefix(uid: str, attempt: int) -> str:
    """How the names of an attempt's pods begin, and no other attempt's."""
    return f"{attempt_name(uid, attempt)}-"


def revision_name(uid: str, revision: str) -> str:
    """Of the Deployment, ConfigMap and Service of a revision behind the endpoint `uid`; at most 52 characters."""
    return f"{resource_name(uid)}-{revision}"


def deployment_name(uid: str, deployment: str) -> str:
    """Of the OnlineDeployment of an endpoint's deployment."""
    return resource_name(f"deployment.{uid.partition('.')[2]}-{deployment}")


def preparation_uid(key: str) -> str:
    """How the gateway calls the preparation of the environment `key`."""
    return f"environment.{key}"


def preparation_name(key: str) -> str:
    """Of the Job and ConfigMap that prepare the environment `key` (hex)."""
    return f"prepare-{key[:HASH_DIGITS].lower()}"


def build_uid(order: EnvironmentOrder) -> str:
    """How the gateway calls the building of an image, and by that what its pods may fetch: this one folder."""
    context = order.build.context.digest.removeprefix("sha256:") if order.build is not None else ""
    return f"image.{context}.{order.key}"


def build_name(key: str) -> str:
    """Of the Job and ConfigMap that build the image `key` (hex)."""
    return f"build-{key[:HASH_DIGITS].lower()}"


def host_name(name: str, index: int) -> str:
    """Under which the pods of an attempt find the one with completion index `index`, in their own namespace."""
    return f"{name}-{index}.{name}"
