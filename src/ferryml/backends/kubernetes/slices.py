"""Which pods stand behind a Service, as the cluster's own EndpointSlices tell: ready ones, at their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ferryml.backends.kubernetes.kube import Manifest

SERVICE = "kubernetes.io/service-name"


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """One port of one pod."""

    pod: str
    host: str
    port: int


def places_of(bodies: Iterable[Manifest], port: str, leaving: bool = False) -> tuple[Place, ...]:
    """Pods of these slices that take requests, each once: ready, and (or `leaving`) not on their way out."""
    return tuple(sorted({place for body in bodies for place in _places(body, port, leaving)}))


def last_places_of(bodies: Iterable[Manifest], port: str) -> tuple[Place, ...]:
    """The same; where none takes requests, those on their way out that still answer, as kube-proxy has it (KEP-1669).

    The only pod of a revision that is drained goes on until others have been told to answer in its stead.
    """
    known = tuple(bodies)
    return places_of(known, port) or tuple(
        sorted({place for body in known for place in _places(body, port, leaving=True, serving=True)})
    )


def _places(body: Manifest, port: str, leaving: bool, serving: bool = False) -> Iterator[Place]:
    number = next((one.get("port") for one in body.get("ports") or () if one.get("name") == port), None)
    if not number or body.get("addressType") not in ("IPv4", "IPv6"):
        return
    for endpoint in body.get("endpoints") or ():
        pod = endpoint.get("targetRef") or {}
        said = endpoint.get("conditions") or {}
        fits = _takes(said) or (leaving and said.get("terminating") and (said.get("serving") or not serving))
        if pod.get("kind") == "Pod" and fits and endpoint.get("addresses"):
            yield Place(str(pod["name"]), str(endpoint["addresses"][0]), int(number))


def _takes(conditions: dict[str, Any]) -> bool:
    """Unknown counts as ready (KEP-752); one that is terminating may still answer, but gets nothing new."""
    return conditions.get("ready") is not False and not conditions.get("terminating")
