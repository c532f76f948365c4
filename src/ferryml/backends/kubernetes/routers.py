"""All routers of a cluster as one door: the table goes to them through a Secret, their figures are added up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter, ValidationError

from ferryml.backends.kubernetes.informer import Informer
from ferryml.backends.kubernetes.kinds import ENDPOINT_SLICES, NODES, SERVICES
from ferryml.backends.kubernetes.kube import Kube
from ferryml.backends.kubernetes.router_address import SERVICE, scoring_url
from ferryml.backends.kubernetes.router_table import TableBook, without_addresses
from ferryml.backends.kubernetes.slices import SERVICE as OF_SERVICE
from ferryml.backends.kubernetes.slices import Place, places_of
from ferryml.domain.counters import Counters, added, summed
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.routes import EndpointRoute, RouterTable

log = logging.getLogger(__name__)

PEERS = "ferry-router-peers"
"""The headless Service of all router pods."""
DOOR_PORT = "door"
LOOK_S = 0.5
"""So that a step of load is seen, and answered by more pods, well within a second."""
ADDRESS_S = 15.0
STALE_S = 5.0
"""Figures of the moment (busy, queued) older than this are left out."""
MOST_ROUTERS = 16
_PART_S = 1.0
"""A router is asked again after so long, for it may have ended meanwhile."""
_MOST_PARTS = 24
"""Routers, dead ones too, whose counts of one revision are remembered."""


class Doors(Protocol):
    """`HttpDoors`."""

    def ask(self, place: Place, path: str, timeout_s: float) -> Mapping[str, Any]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Waits:
    """Limits in seconds."""

    acknowledge: float = 5
    """For all routers to serve a change."""
    places: float = 3
    """For all routers to know a pod of a revision."""
    ask: float = 3


_CAPTURED = TypeAdapter(list[tuple[int, str, str, str, str]])
"""(number, uid, request id, revision, prediction as JSON)."""


class _State(BaseModel):
    """What one router says of one endpoint: revision -> figures."""

    totals: dict[str, Counters]
    recent: dict[str, Counters]
    busy: list[tuple[str, int, int, int]]
    queued: dict[str, int]


class _Said(BaseModel):
    endpoints: dict[str, _State]
    kept: int | None = None
    """Number of the last prediction that it keeps; None: it does not say."""


class ClusterRouter:
    """Implements `agent.endpoint_ports.RouterDoor`. A look costs no request: a thread of ours asks twice a second.

    Args:
        url: scoring base URL where people set it; empty: read from the Service.
        elapsed: seconds of a clock that never goes back.
    """

    def __init__(
        self, kube: Kube, namespace: str, book: TableBook, doors: Doors, url: str = "", waits: Waits | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._kube, self._namespace, self._book, self._doors = kube, namespace, book, doors
        self._waits, self._elapsed = waits or Waits(), elapsed
        self._said_url, self._url = url.rstrip("/"), url.rstrip("/") or f"http://{SERVICE}.{namespace}.svc"
        peers = f"{OF_SERVICE}={PEERS}"
        self._slices = Informer(kube, ENDPOINT_SLICES, (namespace,), labels=peers).steadfast()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._table = RouterTable()
        self._wanted: dict[str, EndpointRoute] = {}
        self._parts: dict[tuple[str, str], dict[str, Counters]] = {}
        self._heard: dict[str, dict[str, tuple[float, _State]]] = {}
        """pod -> uid -> (when, what)."""
        self._fetched: dict[str, int] = {}
        """pod -> number of the last prediction that it told."""
        self.captured: Callable[[str, str, str, str], None] = lambda uid, request, revision, predicted: None
        """Gets each prediction that the routers kept for labels; must not wait."""
        self.changed: Callable[[str], None] = lambda uid: None
        """Gets the uid of each endpoint that has another load than at the look before; must not wait."""
        self._loads: dict[str, tuple[int, Mapping[str, int]]] = {}
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(MOST_ROUTERS, thread_name_prefix="router-door")
        self._thread = threading.Thread(target=self._run, name="routers", daemon=True)

    def start(self, limit_s: float = 10) -> None:
        """Learns which routers there are and what they counted. Raises FerryError."""
        self._slices.start()
        if not self._slices.wait(limit_s):
            raise Unavailable("ClusterUnreachable", f"the cluster did not list its routers within {limit_s:g} s")
        self._table = self._book.read()
        self._find_url()
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Routers serve on."""
        self._over.set()
        self._slices.stop()
        if self._thread.is_alive():
            self._thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._doors.close()

    @property
    def table(self) -> RouterTable:
        """As it was written or read last."""
        return self._table

    @property
    def url(self) -> str:
        """Where callers reach it."""
        return self._url

    def routers(self) -> tuple[Place, ...]:
        """Doors of the router pods that are ready."""
        return places_of(self._slices.all(), DOOR_PORT)

    def apply(self, route: EndpointRoute) -> None:
        """In effect on every ready router when this returns. Raises Unavailable when that is not so in time, Refused.

        A revision gets its first weight only once every router knows a pod of it: else the first callers would find
        nobody there.
        """
        self._await_places(route)
        bare = without_addresses(route)
        with self._writing:
            self._wanted[route.uid] = bare
            if bare not in self._table.endpoints:
                self._table = self._book.put(bare)
        self._await_all()

    def drop(self, uid: str) -> None:
        """Its callers get 404 from now on. Raises Unavailable when that is not so in time."""
        with self._writing:
            self._wanted.pop(uid, None)
            if any(one.uid == uid for one in self._table.endpoints):
                self._table = self._book.drop(uid)
        self._await_all()

    def totals(self, uid: str) -> Mapping[str, Counters]:
        """revision -> totals of all routers, each since it started; routers that are gone keep their part."""
        with self._lock:
            return {revision: summed(parts) for (one, revision), parts in self._parts.items() if one == uid}

    def recent(self, uid: str) -> Mapping[str, Counters]:
        """revision -> what the routers added within their window."""
        figures = self._fresh(uid)
        names = {name for one in figures for name in one.recent}
        return {name: added(one.recent[name] for one in figures if name in one.recent) for name in names}

    def busy(self, uid: str) -> Mapping[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way over all routers."""
        made: dict[tuple[str, int, int], int] = {}
        for one in self._fresh(uid):
            for revision, instance, port, count in one.busy:
                made[revision, instance, port] = made.get((revision, instance, port), 0) + count
        return made

    def queued(self, uid: str) -> Mapping[str, int]:
        """revision -> requests in line over all routers."""
        made: dict[str, int] = {}
        for one in self._fresh(uid):
            for revision, count in one.queued.items():
                made[revision] = made.get(revision, 0) + count
        return made

    def hears_all(self, uid: str) -> bool:
        """Whether there are routers, and each that is ready has told of this endpoint within STALE_S."""
        least = self._elapsed() - STALE_S
        with self._lock:
            told = {pod for pod, said in self._heard.items() if uid in said and said[uid][0] >= least}
        ready = {place.pod for place in self.routers()}
        return bool(ready) and ready <= told

    def look(self) -> None:
        """Ask every router now, those on their way out too: they finish what they have, and it counts."""
        places = places_of(self._slices.all(), DOOR_PORT, leaving=True)
        asked = {place: self._pool.submit(self._doors.ask, place, "/state", self._waits.ask) for place in places}
        wait(asked.values(), self._waits.ask + 1)
        fetching = []
        for place, answer in asked.items():
            try:
                if answer.done():
                    said = _Said.model_validate(answer.result())
                    self._hear(place.pod, said)
                    if said.kept is None or said.kept != self._fetched.get(place.pod, 0):
                        fetching.append(self._pool.submit(self._fetch, place))
            except (FerryError, ValidationError) as error:
                log.debug("router %s: %s", place.pod, error)
        self._tell_changes()
        wait(fetching, self._waits.ask + 1)
        here = {place.pod for place in asked}
        known = {(one.uid, each.revision) for one in self._table.endpoints for each in one.revisions}
        with self._lock:
            self._heard = {pod: said for pod, said in self._heard.items() if pod in here}
            self._fetched = {pod: number for pod, number in self._fetched.items() if pod in here}
            self._parts = {key: parts for key, parts in self._parts.items() if key in known}

    def _tell_changes(self) -> None:
        with self._lock:
            uids = {uid for said in self._heard.values() for uid in said}
        loads = {uid: (sum(self.busy(uid).values()), self.queued(uid)) for uid in uids}
        changed = [uid for uid, load in loads.items() if load != self._loads.get(uid)]
        self._loads = loads
        for uid in changed:
            self.changed(uid)

    def _fetch(self, place: Place) -> None:
        """What one router kept since the last look; told again after a restart of ours, which harms nothing."""
        with self._lock:
            after = self._fetched.get(place.pod, 0)
        try:
            answer = self._doors.ask(place, f"/captured?after={after}", self._waits.ask)
            found = _CAPTURED.validate_python(answer)
        except (FerryError, ValidationError) as error:
            log.debug("router %s: %s", place.pod, error)
            return
        for _, uid, request, revision, predicted in found:
            self.captured(uid, request, revision, predicted)
        if found:
            with self._lock:
                self._fetched[place.pod] = found[-1][0]

    def _hear(self, pod: str, said: _Said) -> None:
        now = self._elapsed()
        with self._lock:
            for uid, state in said.endpoints.items():
                self._heard.setdefault(pod, {})[uid] = (now, state)
                for revision, counters in state.totals.items():
                    parts = self._parts.setdefault((uid, revision), {})
                    parts.pop(counters.boot, None)
                    parts[counters.boot] = counters  # the latest comes last, so the first are those that are gone
                    while len(parts) > _MOST_PARTS:
                        del parts[next(iter(parts))]

    def _fresh(self, uid: str) -> list[_State]:
        least = self._elapsed() - STALE_S
        with self._lock:
            told = [said[uid] for said in self._heard.values() if uid in said]
        return [state for at, state in told if at >= least]

    def _await_places(self, route: EndpointRoute) -> None:
        before = next((one for one in self._table.endpoints if one.uid == route.uid), None)
        served = {name for name, weight in before.weights.items() if weight > 0} if before else set()
        fresh = [
            one.revision for one in route.revisions
            if one.upstreams and route.weights.get(one.revision, 0) > 0 and one.revision not in served
        ]  # fmt: skip
        for revision in fresh:
            wanted = quote(f"{route.namespace}/{revision}", safe="")
            late = self._all_say(f"/places?of={wanted}", self._waits.places, lambda said: bool(said.get("places")))
            if late:
                raise Unavailable(
                    "Unavailable", f"{', '.join(late)} does not see the pods of {revision} yet",
                    "It will in a moment; else look at the RoleBinding of ferry-router in the namespace.",
                )  # fmt: skip

    def _await_all(self) -> None:
        generation = self._table.generation
        late = self._all_say(
            f"/served?generation={generation}", self._waits.acknowledge,
            lambda said: int(said["acknowledged"]) >= generation,
        )  # fmt: skip
        if late:
            raise Unavailable("Unavailable", f"{', '.join(late)} does not serve the change yet", "It is tried again.")
        if not self.routers():
            raise Unavailable("Unavailable", "no router is ready", "See `ferry site doctor`.")

    def _all_say(self, path: str, limit_s: float, right: Callable[[Mapping[str, Any]], bool]) -> list[str]:
        """Routers that are ready and did not say it within the limit; one that is ready no more holds up nobody."""
        until = self._elapsed() + limit_s

        def says(place: Place) -> bool:
            while place in self.routers():
                left = until - self._elapsed()
                if left <= 0:
                    return False
                part = min(left, _PART_S)
                try:
                    if right(self._doors.ask(place, f"{path}&wait_s={part:.2f}", part + 0.5)):
                        return True
                except (FerryError, KeyError, TypeError, ValueError) as error:
                    log.debug("router %s: %s", place.pod, error)
                    self._over.wait(0.05)
            return True

        places = self.routers()
        return [place.pod for place, done in zip(places, self._pool.map(says, places), strict=True) if not done]

    def _find_url(self) -> None:
        if self._said_url:
            return
        service = self._kube.get(SERVICES, self._namespace, SERVICE)
        if service is not None:
            exposed = (service.get("spec") or {}).get("type") == "NodePort"
            self._url = scoring_url(service, self._kube.list(NODES).items if exposed else ())

    def _run(self) -> None:
        addressed = self._elapsed()
        while not self._over.wait(LOOK_S):
            self.look()
            if self._elapsed() - addressed >= ADDRESS_S:
                addressed = self._elapsed()
                try:
                    self._find_url()
                    self._mend()
                except FerryError as error:
                    log.warning("routers: %s: %s", error.code, error.message)

    def _mend(self) -> None:
        """The Secret says what we said, whoever wrote it since."""
        with self._writing:
            written = self._book.read().endpoints
            for uid, route in self._wanted.items():
                if route not in written:
                    log.warning("the router's table was changed by somebody else; writing %s anew", uid)
                    self._table = self._book.put(route)
