"""What must be done to get from one shape to another: the least there is, in an order that harms no request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ferryml.router.haproxy.shape import Backend, Server, Shape

_PER_BACKEND = ("revisions", "timeouts", "owners")


@dataclass(frozen=True, slots=True)
class Put:
    """A map's entry is to have this value."""

    map: str
    key: str
    value: str
    new: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """A map's entry is to be gone."""

    map: str
    key: str


@dataclass(frozen=True, slots=True)
class AddServer:
    """One more instance."""

    backend: str
    name: str
    server: Server


@dataclass(frozen=True, slots=True)
class LimitServer:
    """Another number of requests at once."""

    backend: str
    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class DrainServer:
    """Finish what it has, take no more, and leave."""

    backend: str
    name: str


ServerStep = AddServer | LimitServer | DrainServer
MapStep = Put | Delete


@dataclass(frozen=True, slots=True)
class Changes:
    """First `servers`, or a reload instead of them; then `maps` on every worker; `drains` last."""

    reload: tuple[Literal["backends", "queues", "tokens", "choices", "peers"], ...] = ()
    """Why the running worker cannot learn it."""
    servers: tuple[AddServer | LimitServer, ...] = ()
    maps: tuple[MapStep, ...] = ()
    drains: tuple[DrainServer, ...] = ()


def plan_changes(old: Shape, new: Shape) -> Changes:
    """`old` is what serves now, as `settled` told."""
    return Changes(
        tuple(_reasons(old, new)),
        tuple(_server_steps(old, new)),
        (*_puts(old, new), *_deletes(old, new)),
        tuple(_drains(old, new)),
    )


def merged(old: Shape, new: Shape, reloading: bool) -> Shape:
    """What the files hold: requests that chose a backend just before it left must still find it.

    It stays without servers until a later reload leaves it out.
    """
    kept = {
        name: backend
        for name, backend in old.backends.items()
        if name not in new.backends and (backend.servers or not reloading)
    }
    maps = {
        name: {key: value for key, value in old.maps[name].items() if key in kept} | entries
        if name in _PER_BACKEND
        else entries
        for name, entries in new.maps.items()
    }
    return replace(
        new,
        backends={**kept, **new.backends},
        maps=maps,
        choices=new.choices if reloading else max(old.choices, new.choices),
        token_keys=new.token_keys if reloading else {**old.token_keys, **new.token_keys},
    )


def settled(serving: Shape, new: Shape) -> Shape:
    """What `merged` gave, once those who left are drained: the `old` of the next change."""
    return replace(
        serving,
        backends={
            name: new.backends.get(name, Backend(backend.queue_ms, {})) for name, backend in serving.backends.items()
        },
    )


def _reasons(old: Shape, new: Shape) -> Iterator[Literal["backends", "queues", "tokens", "choices", "peers"]]:
    if new.backends.keys() - old.backends.keys():
        yield "backends"
    if any(old.backends[name].queue_ms != backend.queue_ms for name, backend in _both(old, new)):
        yield "queues"
    if new.token_keys.keys() - old.token_keys.keys():
        yield "tokens"
    if new.choices > old.choices:
        yield "choices"
    if new.peers != old.peers:
        yield "peers"


def _server_steps(old: Shape, new: Shape) -> Iterator[AddServer | LimitServer]:
    for name, backend in new.backends.items():
        before = old.backends[name].servers if name in old.backends else {}
        for server, at in backend.servers.items():
            if server not in before:
                yield AddServer(name, server, at)
            elif before[server].limit != at.limit:
                yield LimitServer(name, server, at.limit)


def _drains(old: Shape, new: Shape) -> Iterator[DrainServer]:
    for name, backend in old.backends.items():
        after = new.backends[name].servers if name in new.backends else {}
        for server in backend.servers:
            if server not in after:
                yield DrainServer(name, server)


def _puts(old: Shape, new: Shape) -> Iterator[Put]:
    """What a choice leads to comes before the choice, so the endpoints come last."""
    for name in sorted(new.maps, key=lambda name: (name == "endpoints", name)):
        before = old.maps[name]
        for key, value in new.maps[name].items():
            if before.get(key) != value:
                yield Put(name, key, value, key not in before)


def _deletes(old: Shape, new: Shape) -> Iterator[Delete]:
    """Of backends nothing is deleted before the next reload: a request may have chosen one a moment ago."""
    for name in sorted(new.maps, key=lambda name: (name != "endpoints", name)):
        if name in _PER_BACKEND and name != "owners":
            continue
        for key in old.maps[name].keys() - new.maps[name].keys():
            yield Delete(name, key)


def _both(old: Shape, new: Shape) -> Iterator[tuple[str, Backend]]:
    return ((name, backend) for name, backend in new.backends.items() if name in old.backends)
