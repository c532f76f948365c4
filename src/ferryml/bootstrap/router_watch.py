"""What a router serves, watched in the cluster: the operator's table, pods behind revisions, other routers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import ENDPOINT_SLICES, SECRETS
from ferryml.backends.kubernetes.kube import Kube, Manifest, labels_of, namespace_of
from ferryml.backends.kubernetes.router_table import TABLE, read_table
from ferryml.backends.kubernetes.routers import PEERS
from ferryml.backends.kubernetes.slices import SERVICE, last_places_of, places_of
from ferryml.compile.kubernetes.labels import KIND, REVISION
from ferryml.domain.errors import Refused
from ferryml.domain.routes import Peer, RouterTable
from ferryml.router.haproxy.joining import joined

log = logging.getLogger(__name__)

PORT = "score"
PEER_PORT = "peers"
LOOK_S = 0.5
"""How often a table that could not be served is tried again."""
SYNC_S = 10.0
"""After so long without a word from the API server, what was served last is served again."""

Tell = Callable[[RouterTable], bool]
"""Serves a table; False: not yet, try again."""


@dataclass(frozen=True, slots=True)
class Where:
    """`namespaces`: of serving pods; empty: all. `peers`: whether this is one of several routers."""

    system: str
    namespaces: tuple[str, ...]
    peers: bool


class KubeTable:
    """A `Watch` over the cluster. What it cannot see any more stays as it was: nothing here ever empties a router.

    `last` is what was served before, by the program that this one replaces.
    """

    def __init__(self, kube: Kube, where: Where, last: Callable[[], RouterTable | None] = lambda: None) -> None:
        self._where, self._last = where, last
        self._news = threading.Event()
        heard: Callable[[Manifest, bool], None] = lambda body, gone: self._news.set()  # noqa: E731  one shape for all
        self._table = RouterTable()
        peers = f"{SERVICE}={PEERS}"
        self._secrets = Informer(kube, SECRETS, (where.system,), heard=self._told).named(TABLE).steadfast()
        self._pods = Informer(
            kube, ENDPOINT_SLICES, where.namespaces, labels=f"{KIND}=endpoint", heard=heard, index=_words
        ).steadfast()
        self._peers = Informer(kube, ENDPOINT_SLICES, (where.system,), labels=peers, heard=heard).steadfast()

    def __call__(self, tell: Tell, over: threading.Event) -> None:
        """Until it is over; news that come together are told together."""
        informers = (self._secrets, self._pods, *((self._peers,) if self._where.peers else ()))
        for informer in informers:
            informer.start()
        try:
            self._sync(informers, tell, over)
            served: RouterTable | None = None
            while not over.is_set():
                self._news.clear()
                table = self.table()
                if table != served:
                    served = table if tell(table) else None
                self._news.wait(LOOK_S)
        finally:
            for informer in informers:
                informer.stop()

    def table(self) -> RouterTable:
        """As everything is now."""
        pods: dict[tuple[str, str], Sequence[tuple[str, int]]] = {}
        for endpoint in self._table.endpoints:
            for one in endpoint.revisions:
                key = (endpoint.namespace, one.revision)
                pods[key] = self._addresses(f"{endpoint.namespace}/{one.revision}")
        peers = places_of(self._peers.all(), PEER_PORT) if self._where.peers else ()
        return joined(self._table, pods, [Peer(name=one.pod, address=_address(one.host, one.port)) for one in peers])

    def places(self, revision: str) -> int:
        """How many pods of NAMESPACE/REVISION take requests."""
        return len(self._addresses(revision))

    def _addresses(self, revision: str) -> list[tuple[str, int]]:
        return [(one.host, one.port) for one in last_places_of(self._pods.select(revision), PORT)]

    def _sync(self, informers: Sequence[Informer], tell: Tell, over: threading.Event) -> None:
        """Tell nothing that is known by half: revisions would lose their pods."""
        waited = 0.0
        while not all(one.wait(0.1) for one in informers) and not over.is_set():
            waited += 0.1
            if waited >= SYNC_S:
                waited = float("-inf")
                last = self._last()
                if last is not None:
                    log.warning("the API server does not answer; serving what was served before")
                    tell(last)

    def _told(self, body: Manifest, gone: bool) -> None:
        try:
            self._table = (None if gone else read_table(body)) or self._table
        except Refused as error:
            log.error("%s; the last good table serves on", error)
        self._news.set()


def _words(body: Manifest) -> Sequence[str]:
    """Found by NAMESPACE/REVISION."""
    return (f"{namespace_of(body)}/{labels_of(body).get(REVISION, '')}",)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
