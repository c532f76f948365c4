"""Router programs of a cluster: `ferry router sidecar` and `ferry router tap`, in containers beside HAProxy's."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ferryml.backends.kubernetes.access import find_access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.router_certificate import Certified, Pair, pair_of_files, pair_of_secret
from ferryml.bootstrap.router_identity import RouterIdentity
from ferryml.bootstrap.router_records import GatewayRecords
from ferryml.bootstrap.router_watch import KubeTable, Tell, Where
from ferryml.domain.errors import FerryError, Refused, Unavailable
from ferryml.domain.routes import RouterTable
from ferryml.router.certificates import demand_tls
from ferryml.router.haproxy.door import Asked, Door, Shelf
from ferryml.router.haproxy.events import Book
from ferryml.router.haproxy.process import Neighbour, find_program
from ferryml.router.haproxy.records import Spool
from ferryml.router.haproxy.router import Places, options_of
from ferryml.router.haproxy.runtime import Master
from ferryml.router.haproxy.sidecar import Sidecar, write_file
from ferryml.router.haproxy.tap import Tap, TapLimits
from ferryml.router.haproxy.tap_link import TapLink
from ferryml.router.shipping import Shipper
from ferryml.settings import RouterSettings

log = logging.getLogger(__name__)

LOOK_S = 0.05
RETRY_S = 1.0
CERTIFICATE_S = 10.0
IDENTITY_S = 3600.0
LAST = "served.json"
"""The table that was served last, for a sidecar that starts anew while the API server is away."""

Watch = Callable[[Tell, threading.Event], None]
"""Calls back with each new table until the event is set; one that was not served is told again."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What a sidecar gets from where it is: a file on one machine, the API server in a cluster."""

    watch: Watch
    tls_pair: Pair
    places: Callable[[str], int] = lambda revision: 0
    identity: RouterIdentity | None = None
    """None: the door is plain HTTP, for one machine."""


def places_of(settings: RouterSettings, secret: str = "") -> Places:
    """Where the three programs meet."""
    if settings.peer_secret_file:
        secret = settings.peer_secret_file.read_text().strip()
    me = settings.replica or os.environ.get("POD_NAME", "")
    return Places(settings.folder / "files", settings.folder / "run", me, settings.peer_bind, secret)


def run_sidecar(settings: RouterSettings, system: str = "", namespaces: tuple[str, ...] = ()) -> None:
    """Until SIGTERM: HAProxy serves the table in a file, or in a cluster the one in the Secret that settings name.

    `system` and `namespaces` say where Ferry's own pods and those of endpoints are.
    """
    over = _until_told()
    hands = _in_cluster(settings, system, namespaces, over) if settings.in_cluster else _on_a_desk(settings)
    demand_tls(settings, host_of(settings.bind))
    places = places_of(settings, hands.identity.peer_secret if hands.identity else "")
    for place in (places.files, places.run):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    _serve(settings, hands, places, over)


def _serve(settings: RouterSettings, hands: Hands, places: Places, over: threading.Event) -> None:
    certified = Certified(hands.tls_pair, settings.certificate_name, places.files / "edge.pem", SystemDice())
    options = options_of(settings, places, (settings.bind,))
    master, shelf, book = Master(f"{options.run}/master.sock", options.folder), Shelf(), Book(SystemDice().id(16))
    link = TapLink(f"{options.run}/tap.sock", book.from_tap, shelf.put)
    sidecar = Sidecar(
        options, Neighbour(find_program(), master), master, book, link, settings.counter_window_s, places.me
    )
    doors = _doors(settings, hands, sidecar, shelf)
    sidecar.start()
    try:
        for door, address in doors:
            door.start(host_of(address), int(address.rpartition(":")[2]))
        certified.begin(over)
        threading.Thread(target=certified.follow, args=(sidecar, over), name="certificate", daemon=True).start()
        hands.watch(_served(sidecar, places.files / LAST), over)
    finally:
        for door, _ in doors:
            door.stop()
        sidecar.stop()


def _doors(settings: RouterSettings, hands: Hands, sidecar: Sidecar, shelf: Shelf) -> list[tuple[Door, str]]:
    if hands.identity is None:
        return [(Door(Asked(sidecar, shelf, _door_secret(settings), hands.places)), settings.door_bind)]
    told = Asked(sidecar, shelf, hands.identity.bearer, hands.places)
    return [
        (Door(told, hands.identity.tls()), settings.door_bind),
        (Door(Asked(sidecar, shelf, "")), settings.metrics_bind),
    ]


def _on_a_desk(settings: RouterSettings) -> Hands:
    if settings.table_file is None:
        raise Refused("MissingField", "the router has no table to serve", "Set FERRY_ROUTER_TABLE_FILE.")
    return Hands(TableFile(settings.table_file), lambda: pair_of_files(settings))


def _in_cluster(settings: RouterSettings, system: str, namespaces: tuple[str, ...], over: threading.Event) -> Hands:
    kube = HttpKube(find_access())
    identity = _patient(lambda: RouterIdentity(kube, system, SystemDice()), over)
    threading.Thread(target=_renew, args=(identity, over), name="identity", daemon=True).start()
    last = settings.folder / "files" / LAST
    table = KubeTable(kube, Where(system, namespaces, bool(settings.peer_bind)), lambda: _read(last))
    name = settings.tls_secret
    pair: Pair = (lambda: pair_of_secret(kube.get(SECRETS, system, name), name)) if name else (lambda: None)
    return Hands(table, pair, table.places, identity)


def _renew(identity: RouterIdentity, over: threading.Event) -> None:
    while not over.wait(IDENTITY_S):
        try:
            identity.renewed()
        except FerryError as error:
            log.warning("the door's certificate was not looked at: %s", error)


def _patient(make: Callable[[], RouterIdentity], over: threading.Event) -> RouterIdentity:
    """The API server may be away when a pod starts."""
    while True:
        try:
            return make()
        except Unavailable as error:
            log.warning("%s", error)
            if over.wait(RETRY_S):
                raise


def _served(sidecar: Sidecar, last: Path) -> Tell:
    """A table that cannot be served now is tried again; one that is wrong is not, and the last good one serves on."""

    def tell(table: RouterTable) -> bool:
        try:
            sidecar.apply(table)
            write_file(last, table.model_dump_json())
        except Refused as error:
            log.error("the table is refused, the last good one serves on: %s", error)
        except (FerryError, OSError) as error:
            log.warning("the table is not served yet: %s", error)
            return False
        return True

    return tell


def _read(path: Path) -> RouterTable | None:
    try:
        return RouterTable.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def run_tap(settings: RouterSettings) -> None:
    """Until SIGTERM."""
    asyncio.run(_tap(settings))


class TableFile:
    """A `Watch` over one JSON file that somebody replaces whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, tell: Tell, over: threading.Event) -> None:
        """Looks 20 times a second; a file that cannot be read changes nothing."""
        seen = b""
        while not over.wait(LOOK_S):
            try:
                found = self._path.read_bytes()
                if found != seen:
                    seen = found if tell(RouterTable.model_validate_json(found)) else b""
            except FileNotFoundError:
                continue
            except ValidationError as error:
                seen = found
                log.warning("the table in %s cannot be read: %s", self._path, error)


async def _tap(settings: RouterSettings) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    run = places_of(settings).run
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run / "tap.sock").unlink(missing_ok=True)
    limits = TapLimits(settings.mirror_queue, settings.mirror_body_bytes)
    spool = Spool(settings.folder / "collected", SystemDice().id(10), SystemDice().now, settings.collect_bytes)
    shipper = Shipper(spool, GatewayRecords(settings), settings.collect_ship_s) if settings.collect_url else None
    tap = Tap(str(run / "inner.sock"), SystemDice().id(16), random.random, limits, spool)
    await tap.start(str(run / "tap.sock"))
    if shipper is not None:
        shipper.start()
    await over.wait()
    await tap.stop()
    if shipper is not None:
        await asyncio.to_thread(shipper.stop)


def _door_secret(settings: RouterSettings) -> str:
    """Without a file nobody knows it."""
    return settings.door_secret_file.read_text().strip() if settings.door_secret_file else SystemDice().secret()


def host_of(address: str) -> str:
    """Of HOST:PORT."""
    return address.rpartition(":")[0].strip("[]")


def _until_told() -> threading.Event:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
