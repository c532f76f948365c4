"""What a router needs to know of one endpoint, as data: the site's operator writes it, any router reads it."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Literal

from ferryml.domain.orders import Wire


class Upstream(Wire):
    """One instance that answers predictions."""

    instance: int
    host: str = "127.0.0.1"
    port: int


class RevisionRoute(Wire):
    """One revision behind an endpoint, with its limits."""

    revision: str
    deployment: str
    upstreams: tuple[Upstream, ...] = ()
    """Ready instances; empty: requests wait for one, then get 503."""
    scoring_path: str = "/score"
    swagger_path: str = "/swagger.json"
    request_timeout_ms: int = 5000
    max_concurrent_requests: int = 1
    """Per instance."""
    max_queue_wait_ms: int = 500
    capture: bool = True
    """Keep small predictions for joining with labels."""
    collect: float = 0
    """Share of the answered requests that are recorded with their answers, 0 to 1."""
    collections: tuple[str, ...] = ("request", "response")
    """What of them is recorded."""
    collect_headers: tuple[str, ...] = ()
    """Request headers that are recorded beside the harmless ones; small letters."""
    rolling: Literal["minute", "hour", "day", "month", "year"] = "hour"
    """Span of time of one folder of records."""
    model: str = ""
    """`model:NAME:VERSION`, for the record."""


class EndpointRoute(Wire):
    """One endpoint: who may ask, and which revision answers how often."""

    uid: str
    name: str
    """As in the scoring URL; unique on the site."""
    namespace: str = ""
    """In a cluster: where its pods are, and nowhere else; empty: on this machine."""
    auth_mode: Literal["key", "aml_token"] = "key"
    key_hashes: tuple[str, ...] = ()
    """sha256 hex of each key that opens it."""
    token_keys: tuple[str, ...] = ()
    """PEM public keys (P-256) of those who sign its tokens; several while one replaces another."""
    weights: dict[str, int] = {}
    """revision -> weight; any positive scale. Empty or all zero: 404 unless a deployment is named."""
    direct: dict[str, str] = {}
    """deployment -> revision that answers when the caller names the deployment."""
    mirror: dict[str, int] = {}
    """revision -> percent of weighted requests copied to it."""
    revisions: tuple[RevisionRoute, ...] = ()


class Peer(Wire):
    """One replica of the router, as the others reach it."""

    name: str
    address: str
    """HOST:PORT of its listener for replicas."""


class RouterTable(Wire):
    """Everything a router serves, as of one moment."""

    generation: int = 0
    endpoints: tuple[EndpointRoute, ...] = ()
    peers: tuple[Peer, ...] = ()
    """All replicas that are ready, this one too; fewer than two: nothing is forwarded."""


def instance_number(host: str) -> int:
    """The instance that lives at an address of its own, as pods do: nobody has to share out numbers.

    Raises ValueError for what is no address.
    """
    return int(ipaddress.ip_address(host))


def key_id(pem: str) -> str:
    """The `kid` that a token names its signer's public key by."""
    return hashlib.sha256("".join(pem.split()).encode()).hexdigest()[:16]


def owner(peers: tuple[Peer, ...], uid: str, revision: str) -> str:
    """The replica that alone hands out a revision's places (rendezvous hash); empty without replicas."""
    ranked = [(hashlib.sha256(f"{peer.name}/{uid}/{revision}".encode()).digest(), peer.name) for peer in peers]
    return max(ranked)[1] if ranked else ""


def choose(weights: dict[str, int], draw: float) -> str | None:
    """The revision that `draw` (0 <= draw < 1) falls on; None when no weight is positive."""
    total = sum(weight for weight in weights.values() if weight > 0)
    point = draw * total
    for revision in sorted(weights):
        weight = weights[revision]
        if weight <= 0:
            continue
        if point < weight:
            return revision
        point -= weight
    return None
