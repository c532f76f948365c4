"""The whole router on one machine: HAProxy, sidecar and tap behind the door that a site's operator knows."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferryml.domain.counters import Counters
from ferryml.domain.errors import Unavailable
from ferryml.domain.routes import EndpointRoute, Peer, RouterTable
from ferryml.router.certificates import bundle, demand_tls
from ferryml.router.haproxy.events import Book
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.process import Haproxy, find_program
from ferryml.router.haproxy.runtime import Master
from ferryml.router.haproxy.sidecar import Sidecar, write_file
from ferryml.router.haproxy.tap import Tap, TapLimits
from ferryml.router.haproxy.tap_link import TapLink
from ferryml.settings import RouterSettings

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Places:
    """Where its files and sockets are; `run` must be short. The others are for one of several replicas."""

    files: Path
    run: Path
    me: str = ""
    """This replica's name among the table's peers."""
    peer_bind: str = ""
    """HOST:PORT where the other replicas reach it."""
    peer_secret: str = ""


def options_of(settings: RouterSettings, places: Places, bind: tuple[str, ...]) -> Options:
    """What the settings say of HAProxy."""
    return Options(
        folder=str(places.files),
        run=str(places.run),
        bind=bind,
        peer_bind=places.peer_bind,
        peer_secret=places.peer_secret,
        certificate=settings.tls_cert is not None or bool(settings.tls_secret),
        threads=settings.threads,
        max_connections=settings.max_connections,
        max_body_bytes=settings.max_body_bytes,
        buffer_bytes=settings.buffer_bytes,
        connect_timeout_ms=round(settings.connect_timeout_s * 1000),
        idle_timeout_ms=round(settings.idle_timeout_s * 1000),
        cors_origins=tuple(settings.cors_origins.split()),
    )


class HaproxyRouter:
    """Implements `agent.endpoint_ports.RouterDoor`. `run_tap` is False where the tap is a program of its own."""

    def __init__(
        self,
        settings: RouterSettings,
        places: Places,
        draw: Callable[[], float],
        new_hex: Callable[[], str],
        captured: Callable[[str, str, str, str], None],
        run_tap: bool = True,
    ) -> None:
        self._settings, self._places, self._draw, self._new_hex = settings, places, draw, new_hex
        self._captured, self._run_tap = captured, run_tap
        self._endpoints: dict[str, EndpointRoute] = {}
        self._generation = 0
        self._peers: tuple[Peer, ...] = ()
        self._haproxy: Haproxy | None = None
        self._sidecar: Sidecar | None = None
        self._tap: TapThread | None = None
        self.url = ""

    def start(self, host: str, port: int) -> int:
        """Listen with an empty table; returns the port. Raises FerryError."""
        demand_tls(self._settings, host)
        for place in (self._places.files, self._places.run):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if pem := bundle(self._settings):
            write_file(self._places.files / "edge.pem", pem)
        if self._run_tap:
            self._tap = TapThread(self._make_tap)
            self._tap.start(str(self._places.run / "tap.sock"))
        for left in reversed(range(_TRIES)):
            bound = port or free_port(host)
            try:
                self._begin(f"{host}:{bound}")
                break
            except Unavailable:
                if port or not left:
                    raise
        scheme = "https" if self._settings.tls_cert else "http"
        self.url = f"{scheme}://{host}:{bound}"
        return bound

    def stop(self, drain_s: float = 5) -> None:
        """Take no more, finish what is under way for `drain_s`, then end it all."""
        if self._sidecar:
            self._sidecar.stop()
        if self._haproxy:
            self._haproxy.end(drain_s)
        if self._tap:
            self._tap.stop()

    def apply(self, route: EndpointRoute) -> None:
        """From now on serve the endpoint like this; requests under way are not disturbed."""
        self._tell({**self._endpoints, route.name: route})

    def drop(self, uid: str) -> None:
        """The endpoint is no more: its callers get 404."""
        self._tell({name: route for name, route in self._endpoints.items() if route.uid != uid})

    def totals(self, uid: str) -> Mapping[str, Counters]:
        """revision -> totals since this router started."""
        return self.sidecar.totals(uid)

    def recent(self, uid: str) -> Mapping[str, Counters]:
        """revision -> what was added within counter_window_s."""
        return self.sidecar.recent(uid)

    def busy(self, uid: str) -> Mapping[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way."""
        return self.sidecar.busy(uid)

    def queued(self, uid: str) -> Mapping[str, int]:
        """revision -> requests in line."""
        return self.sidecar.queued(uid)

    def hears_all(self, uid: str) -> bool:
        """There is no other that the operator looks at."""
        return True

    @property
    def sidecar(self) -> Sidecar:
        """Raises Unavailable before `start`."""
        if self._sidecar is None:
            raise Unavailable("Unavailable", "the router has not been started")
        return self._sidecar

    def join(self, peers: tuple[Peer, ...]) -> None:
        """The replicas that are ready now, this one too."""
        self._peers = peers
        self._tell(self._endpoints)

    def options(self, address: str) -> Options:
        """What the settings say; benchmarks say more."""
        return options_of(self._settings, self._places, (address,))

    def _tell(self, endpoints: dict[str, EndpointRoute]) -> None:
        self._generation += 1
        table = RouterTable(generation=self._generation, endpoints=tuple(endpoints.values()), peers=self._peers)
        self.sidecar.apply(table)
        self._endpoints = endpoints

    def _begin(self, address: str) -> None:
        options = self.options(address)
        run, boot = self._places.run, self._new_hex()
        master = Master(str(run / "master.sock"), options.folder)
        self._haproxy = Haproxy(find_program(), options, master)
        book = Book(boot)
        link = TapLink(str(run / "tap.sock"), book.from_tap, self._captured)
        sidecar = Sidecar(options, self._haproxy, master, book, link, self._settings.counter_window_s, self._places.me)
        sidecar.start()
        try:
            sidecar.apply(RouterTable())
        except BaseException:
            sidecar.stop()
            raise
        self._sidecar = sidecar

    def _make_tap(self) -> Tap:
        limits = TapLimits(self._settings.mirror_queue, self._settings.mirror_body_bytes)
        return Tap(str(self._places.run / "inner.sock"), self._new_hex(), self._draw, limits)


class TapThread:
    """The tap in this process, for one machine."""

    def __init__(self, make: Callable[[], Tap]) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="router-tap", daemon=True)
        self._tap: Tap | None = None

    def start(self, path: str) -> None:
        """Listens when this returns."""
        self._thread.start()
        self._tap = self._make()
        asyncio.run_coroutine_threadsafe(self._tap.start(path), self._loop).result(10)

    def stop(self) -> None:
        """Gives up copies under way."""
        if self._tap:
            asyncio.run_coroutine_threadsafe(self._tap.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def free_port(host: str) -> int:
    """A port on which nothing listened a moment ago."""
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
