"""What HAProxy is to look like for a table: backends, servers and maps as plain data, so that two can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ferryml.domain.errors import Refused
from ferryml.domain.routes import EndpointRoute, Peer, RevisionRoute, RouterTable, Upstream, key_id, owner

SCALE = 10_000
"""Shares are told to HAProxy in parts of this."""

MAPS = ("endpoints", "keys", "tokens", "deployments", "revisions", "timeouts", "owners", "state")
"""`state` is written by whoever ends HAProxy for good: see `edge`."""

_NAME = re.compile(r"[A-Za-z][-A-Za-z0-9]{0,63}")
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]{0,63}")
_REVISION = re.compile(r"[a-z0-9]{1,32}")
_UID = re.compile(r"[-_.A-Za-z0-9]{1,255}")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_PATH = re.compile(r"/[-A-Za-z0-9._~/:@!$&()*+,;=%]{0,1023}")
_HOST = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s[A-Za-z0-9+/=\s]{1,1000}-----END PUBLIC KEY-----\s*")
KEPT = "pool-max-conn -1 pool-purge-delay 100ms"
"""Connections are kept from request to request, and half of those that nobody needed lately are closed every so often:
long before a model's program closes them (the most hurried well-known ones after 2 s), for a request that crosses such
an end is lost. A server that HAProxy is told of while it runs keeps none unless it is told to."""

WATCHED = "check inter 1h fastinter 1s downinter 1s fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down"
"""What cannot be connected to is passed by at once and until it can be again: a pod whose node has just died is named
by its EndpointSlice for some 40 s. Health checks proper are the kubelet's; these ask only who is down."""


@dataclass(frozen=True, slots=True)
class Server:
    """One instance behind a backend."""

    address: str
    limit: int
    """Requests at once."""

    @property
    def words(self) -> str:
        """As HAProxy is told of it, in its file and while it runs."""
        return f"{self.address} maxconn {self.limit} {KEPT} {WATCHED}"


@dataclass(frozen=True, slots=True)
class Backend:
    """One revision of one endpoint."""

    queue_ms: int
    servers: dict[str, Server]


@dataclass(frozen=True, slots=True)
class Shape:
    """Compared field by field to learn what must change; see `changes`."""

    backends: dict[str, Backend] = field(default_factory=dict)
    maps: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in MAPS})
    token_keys: dict[str, str] = field(default_factory=dict)
    """Key id -> PEM."""
    choices: int = 1
    """Revisions of the endpoint that has most: so many the weights may name."""
    peers: tuple[Peer, ...] = ()
    """The other replicas."""


def shape_of(table: RouterTable, me: str = "") -> Shape:
    """The table as HAProxy needs it; `me` is this replica's name. Raises Refused for what could be misread."""
    shape = Shape(
        peers=tuple(sorted((peer for peer in table.peers if peer.name != me), key=lambda peer: peer.name)),
        choices=max((len(endpoint.revisions) for endpoint in table.endpoints), default=1),
    )
    for peer in table.peers:
        _check(_DEPLOYMENT, peer.name, "name of a router replica")
        _check(_ADDRESS, peer.address, "address of a router replica")
    for endpoint in table.endpoints:
        _add_endpoint(shape, endpoint)
        for revision in endpoint.revisions:
            _add_revision(shape, endpoint, revision)
            name = owner(table.peers, endpoint.uid, revision.revision)
            if shape.peers and name != me:
                shape.maps["owners"][backend_name(endpoint.name, revision.revision)] = name
    return shape


def backend_name(endpoint: str, revision: str) -> str:
    """Neither part may hold a dot."""
    return f"r.{endpoint}.{revision}"


def server_name(upstream: Upstream) -> str:
    """Says who it is, so that counts can be read back without a table."""
    return f"i{upstream.instance}_{upstream.port}_{upstream.host}"


def instance_of(server: str) -> tuple[int, int]:
    """(instance, port) of a server's name."""
    instance, port, _ = server.split("_", 2)
    return int(instance[1:]), int(port)


def sampled(endpoint: EndpointRoute) -> int:
    """Parts of SCALE of the weighted requests whose content is handed to the tap for mirrors."""
    return round(max((percent for percent in endpoint.mirror.values()), default=0) * SCALE / 100)


def recorded(revision: RevisionRoute) -> int:
    """Parts of SCALE of the answered requests that are handed to the tap for the record."""
    return round(min(1.0, max(0.0, revision.collect)) * SCALE)


def bounds(weights: dict[str, int]) -> list[tuple[int, str]]:
    """[(upper bound, revision)] with bounds rising to SCALE; every positive weight has at least one part."""
    positive = sorted((name, weight) for name, weight in weights.items() if weight > 0)
    total, sofar, made = sum(weight for _, weight in positive), 0, list[tuple[int, str]]()
    for place, (name, weight) in enumerate(positive):
        sofar += weight
        least = made[-1][0] + 1 if made else 1
        most = SCALE - (len(positive) - place - 1)
        made.append((min(max(round(sofar * SCALE / total), least), most), name))
    return made


def _add_endpoint(shape: Shape, endpoint: EndpointRoute) -> None:
    _check(_NAME, endpoint.name, "name of an endpoint")
    _check(_UID, endpoint.uid, "uid of an endpoint")
    known = {revision.revision for revision in endpoint.revisions}
    weights = {name: weight for name, weight in endpoint.weights.items() if name in known}
    choice = [part for bound, name in bounds(weights) for part in (str(bound), backend_name(endpoint.name, name))]
    mode = "t" if endpoint.auth_mode == "aml_token" else "k"
    shape.maps["endpoints"][endpoint.name] = "|".join([mode, endpoint.uid, str(sampled(endpoint)), *choice])
    if mode == "k":
        for hashed in endpoint.key_hashes:
            _check(_HASH, hashed, "hash of a key")
            shape.maps["keys"][f"{endpoint.name}:{hashed.upper()}"] = "1"
    else:
        for pem in endpoint.token_keys:
            _check(_PEM, pem, "public key")
            shape.token_keys[key_id(pem)] = pem.strip() + "\n"
            shape.maps["tokens"][f"{endpoint.name}:{key_id(pem)}"] = key_id(pem)
    for deployment, revision in endpoint.direct.items():
        if revision in known:
            _check(_DEPLOYMENT, deployment, "name of a deployment")
            shape.maps["deployments"][f"{endpoint.name}/{deployment}"] = backend_name(endpoint.name, revision)


def _add_revision(shape: Shape, endpoint: EndpointRoute, revision: RevisionRoute) -> None:
    _check(_REVISION, revision.revision, "name of a revision")
    _check(_DEPLOYMENT, revision.deployment, "name of a deployment")
    _check(_PATH, revision.scoring_path, "scoring path")
    _check(_PATH, revision.swagger_path, "swagger path")
    name = backend_name(endpoint.name, revision.revision)
    captured = "1" if revision.capture else "0"
    shape.maps["revisions"][name] = "|".join(
        [revision.deployment, captured, revision.scoring_path, revision.swagger_path, str(recorded(revision))]
    )
    shape.maps["timeouts"][name] = str(max(1, revision.request_timeout_ms))
    shape.backends[name] = Backend(max(1, revision.max_queue_wait_ms), dict(_servers(revision)))


def _servers(revision: RevisionRoute) -> Iterator[tuple[str, Server]]:
    for upstream in revision.upstreams:
        _check(_HOST, upstream.host, "address of an instance")
        host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
        yield server_name(upstream), Server(f"{host}:{upstream.port}", max(1, revision.max_concurrent_requests))


def _check(pattern: re.Pattern[str], text: str, what: str) -> None:
    if not pattern.fullmatch(text):
        raise Refused("BadValue", f"{text[:80]!r} cannot be the {what} in the router's table")
