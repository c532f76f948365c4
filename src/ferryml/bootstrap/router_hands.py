"""The operator's hands on the routers of its cluster, plugged together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ferryml.backends.kubernetes.kube import Kube
from ferryml.backends.kubernetes.router_doors import HttpDoors, address_of, door_word
from ferryml.backends.kubernetes.router_table import TableBook
from ferryml.backends.kubernetes.routers import ClusterRouter
from ferryml.backends.kubernetes.slices import Place
from ferryml.router.haproxy.shape import shape_of


def cluster_router(
    kube: Kube, system: str, now: Callable[[], datetime], url: str = "", reach: Callable[[Place], str] = address_of
) -> ClusterRouter:
    """Not started yet. `kube` is fenced, so that only the leader writes the table; `url` as `ClusterRouter` says.

    What no router could serve is refused before it is written: one bad endpoint must not hold up the others.
    """
    book = TableBook(kube, system, now, shape_of)
    return ClusterRouter(kube, system, book, HttpDoors(lambda: door_word(kube, system), reach), url)
