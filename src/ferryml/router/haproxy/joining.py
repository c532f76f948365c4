"""The operator's table and the cluster's pods become what a router serves; agent and server may be away meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from ferryml.domain.routes import EndpointRoute, Peer, RouterTable, Upstream, instance_number

Revision = tuple[str, str]
"""(namespace, revision)."""
Address = tuple[str, int]
"""(IP, port)."""


def joined(table: RouterTable, pods: Mapping[Revision, Sequence[Address]], peers: Sequence[Peer] = ()) -> RouterTable:
    """Each revision with the pods of its own namespace: labels elsewhere, which others may write, mean nothing."""
    endpoints = tuple(_endpoint(one, pods) for one in table.endpoints)
    return RouterTable(generation=table.generation, endpoints=endpoints, peers=tuple(peers))


def _endpoint(route: EndpointRoute, pods: Mapping[Revision, Sequence[Address]]) -> EndpointRoute:
    revisions = tuple(
        one.model_copy(update={"upstreams": _upstreams(pods.get((route.namespace, one.revision), ()))})
        for one in route.revisions
    )
    return route.model_copy(update={"revisions": revisions})


def _upstreams(addresses: Sequence[Address]) -> tuple[Upstream, ...]:
    made: list[Upstream] = []
    for host, port in sorted(set(addresses)):
        with suppress(ValueError):  # not an address: nothing of ours
            made.append(Upstream(instance=instance_number(host), host=host, port=port))
    return tuple(made)
