"""The port to an API server: what Ferry asks of any cluster, in few words, with errors in Ferry's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ferryml.backends.kubernetes.kinds import Kind

Manifest = dict[str, Any]
"""One object as the API server writes it: JSON."""

FIELD_MANAGER = "ferry-operator"
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects as they were at `version`; a watch goes on from there."""

    items: tuple[Manifest, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. `mark` only tells how far the watch has come."""

    what: Literal["added", "modified", "deleted", "mark"]
    body: Manifest


class Expired(Exception):
    """The API server has forgotten that version: list anew."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Whose token it is."""

    username: str
    audiences: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]
    """`authentication.kubernetes.io/pod-name`, `.../pod-uid` for tokens that are bound to a pod."""


class Watch(Protocol):
    """A stream of changes; `close` ends it from any thread."""

    def __iter__(self) -> Iterator[Change]:
        """Raises Expired, Unavailable(ClusterUnreachable). Ends by itself after a while: go on from there."""

    def close(self) -> None: ...


class Kube(Protocol):
    """One API server. Raises Unavailable(ClusterUnreachable) when it does not answer; NotFound, Conflict,
    Forbidden(ClusterForbidden), Refused(ClusterRefused) when it says no: `details` has its status, reason and causes.

    Writing raises Unavailable(NotLeader) once this program does not lead any more.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """None when there is none."""

    def list(self, kind: Kind, namespace: str = "", labels: str = "", fields: str = "") -> Listing: ...
    def watch(self, kind: Kind, namespace: str = "", since: str = "", labels: str = "", fields: str = "") -> Watch: ...
    def apply(self, body: Manifest) -> Manifest:
        """Server-side apply as FIELD_MANAGER, strict: an unknown field is refused, never lost."""

    def create(self, kind: Kind, body: Manifest) -> Manifest:
        """Raises Conflict(AlreadyExists)."""

    def replace(self, kind: Kind, body: Manifest) -> Manifest:
        """Raises Conflict(VersionConflict) when someone wrote it in between."""

    def patch_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], uid: str = "") -> Manifest:
        """Puts the whole status in place of the old one; with `uid` only if it is still that object."""

    def patch(self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any]) -> Manifest:
        """JSON merge patch."""

    def delete(
        self, kind: Kind, namespace: str, name: str, propagation: Propagation = "Background",
        grace_s: int | None = None, uid: str = "",
    ) -> bool:  # fmt: skip
        """False when it was not there (or not that object any more)."""

    def pod_log(self, namespace: str, pod: str, container: str, tail: int = 0, previous: bool = False) -> bytes:
        """The last `tail` lines (0: everything, up to 10 MiB); empty when there is none yet."""

    def pod_lines(
        self, namespace: str, pod: str, container: str, since: str = "", tail: int = 0, previous: bool = False
    ) -> bytes:
        """The same with each line's time before it (RFC 3339 with nanoseconds, a space), from the second of `since` on
        (such a time; empty: all of it)."""

    def review_token(self, token: str, audience: str) -> Reviewed | None:
        """None when the API server does not know it for that audience."""

    def version(self) -> str:
        """Of the API server, `1.34.4`."""


def meta(body: Manifest) -> Manifest:
    """Its metadata."""
    found: Manifest = body.get("metadata") or {}
    return found


def name_of(body: Manifest) -> str:
    return str(meta(body).get("name", ""))


def namespace_of(body: Manifest) -> str:
    return str(meta(body).get("namespace", ""))


def labels_of(body: Manifest) -> dict[str, str]:
    return meta(body).get("labels") or {}


def annotations_of(body: Manifest) -> dict[str, str]:
    return meta(body).get("annotations") or {}


def version_of(body: Manifest) -> str:
    return str(meta(body).get("resourceVersion", ""))
