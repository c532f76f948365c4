"""Which image a container gets: aliases first, then the site's registry for names that have none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ferryml.compile.kubernetes.cluster import Cluster
from ferryml.domain.aliases import resolve_image
from ferryml.domain.errors import Refused
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.spec.workspace import Aliases

_IMAGE = re.compile(r"[\w][\w.:@/+-]{0,511}")


def user_image(environment: EnvironmentOrder, cluster: Cluster) -> str:
    """Raises Refused `BadReference` for what cannot name an image."""
    image = resolve_image(environment.image or cluster.default_image, Aliases(image=dict(cluster.image_aliases)))
    if not _IMAGE.fullmatch(image):
        raise Refused("BadReference", f"{image[:200]!r} cannot name an image", "Write [REGISTRY/]NAME[:TAG].")
    registry = cluster.image_registry.rstrip("/")
    return image if has_registry(image) or not registry else f"{registry}/{image}"


def has_registry(image: str) -> bool:
    """Whether an image's name says where it is from: its first part is a host, as container engines see it."""
    first, slash, _ = image.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def pull_secrets(cluster: Cluster) -> Mapping[str, Any]:
    """The pod's `imagePullSecrets`, if any."""
    names = [{"name": name} for name in cluster.image_pull_secrets]
    return {"imagePullSecrets": names} if names else {}


def needs_preparation(environment: EnvironmentOrder) -> bool:
    """Whether more than the image itself was asked for."""
    return bool(environment.pip or environment.conda or environment.python)
