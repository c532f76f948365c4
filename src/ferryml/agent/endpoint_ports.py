"""What the operator of endpoints needs beside a backend: a router, environments, and a memory of predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ferryml.domain.counters import Counters
from ferryml.domain.orders import EnvironmentOrder, RevisionOrder
from ferryml.domain.routes import EndpointRoute
from ferryml.domain.seen import EnvSeen
from ferryml.domain.serving import Prepared
from ferryml.domain.statuses import Accuracy


class RouterDoor(Protocol):
    """The site's router. What is applied is in effect when the call returns."""

    @property
    def url(self) -> str:
        """Where callers reach it, no trailing slash."""

    def apply(self, route: EndpointRoute) -> None: ...
    def drop(self, uid: str) -> None: ...
    def totals(self, uid: str) -> Mapping[str, Counters]:
        """revision -> totals since the router started."""

    def recent(self, uid: str) -> Mapping[str, Counters]:
        """revision -> what was added within the router's window."""

    def busy(self, uid: str) -> Mapping[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way."""

    def queued(self, uid: str) -> Mapping[str, int]:
        """revision -> requests in line."""

    def hears_all(self, uid: str) -> bool:
        """Whether every router has told of this endpoint lately; else more may be under way and in line."""


class EnvironmentMaker(Protocol):
    """As in `JobBackend`: both make their environments in one place."""

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None: ...
    def environment(self, key: str) -> EnvSeen: ...


class Captures(Protocol):
    """Predictions by request id, joined with labels when those come."""

    def join(self, uid: str, labels: Iterable[tuple[str, str]]) -> tuple[int, int]:
        """(request id, true label as JSON text) -> (matched, unmatched). A later label of the same id replaces."""

    def accuracy(self, uid: str) -> Mapping[str, tuple[Accuracy, Accuracy]]:
        """revision -> (all labels, the last 1,000)."""

    def forget(self, uid: str) -> None: ...


class FilesDoor(Protocol):
    """Code and model of revisions, before anything of them starts. Nothing here waits."""

    def prepared(self, uid: str, revision: RevisionOrder, grant: str, generation: int) -> Prepared: ...
    def resolved(self, uid: str, revision: RevisionOrder) -> RevisionOrder:
        """The revision with its environment, where only its model's files say which."""

    def forget(self, uid: str, keep: frozenset[str] = frozenset()) -> None:
        """Revisions of the endpoint that are of no interest any more."""

    def close(self) -> None: ...
