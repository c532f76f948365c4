"""Router programs of a cluster: `ferry router sidecar` and `ferry router tap`, in containers beside HAProxy's."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from ferryml.bootstrap.dice import SystemDice
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.routes import RouterTable
from ferryml.router.certificates import bundle, check_certificate, demand_tls
from ferryml.router.haproxy.door import Door, Shelf
from ferryml.router.haproxy.events import Book
from ferryml.router.haproxy.process import Neighbour, find_program
from ferryml.router.haproxy.records import Spool
from ferryml.router.haproxy.router import Places, options_of
from ferryml.router.haproxy.runtime import Master
from ferryml.router.haproxy.sidecar import Sidecar, write_file
from ferryml.router.haproxy.tap import Tap, TapLimits
from ferryml.router.haproxy.tap_link import TapLink
from ferryml.settings import RouterSettings

log = logging.getLogger(__name__)

LOOK_S = 0.05
RETRY_S = 1.0
CERTIFICATE_S = 10.0

Watch = Callable[[Callable[[RouterTable], None], threading.Event], None]
"""Calls back with each new table until the event is set."""


def places_of(settings: RouterSettings) -> Places:
    """Where the three programs meet."""
    secret = settings.peer_secret_file.read_text().strip() if settings.peer_secret_file else ""
    run = settings.folder / "run"
    return Places(settings.folder / "files", run, settings.replica, settings.peer_bind, secret)


def run_sidecar(settings: RouterSettings, watch: Watch | None = None, over: threading.Event | None = None) -> None:
    """Until SIGTERM: HAProxy serves what `watch` tells; without it, what the setting table_file holds."""
    over = over or _until_told()
    host = settings.bind.rpartition(":")[0].strip("[]")
    demand_tls(settings, host)
    places = places_of(settings)
    for place in (places.files, places.run):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    certified = Certified(settings, places.files / "edge.pem", SystemDice())
    certified.look()
    if watch is None:
        if settings.table_file is None:
            raise Refused("MissingField", "the router has no table to serve", "Set FERRY_ROUTER_TABLE_FILE.")
        watch = TableFile(settings.table_file)
    options = options_of(settings, places, (settings.bind,))
    master, shelf, book = Master(f"{options.run}/master.sock", options.folder), Shelf(), Book(SystemDice().id(16))
    link = TapLink(f"{options.run}/tap.sock", book.from_tap, shelf.put)
    sidecar = Sidecar(
        options, Neighbour(find_program(), master), master, book, link, settings.counter_window_s, places.me
    )
    door = Door(sidecar, shelf, _door_secret(settings))
    sidecar.start()
    try:
        door_host, _, port = settings.door_bind.rpartition(":")
        door.start(door_host.strip("[]"), int(port))
        threading.Thread(target=certified.follow, args=(sidecar, over), name="certificate", daemon=True).start()
        watch(_patiently(sidecar, over), over)
        over.wait()
    finally:
        door.stop()
        sidecar.stop()


def run_tap(settings: RouterSettings) -> None:
    """Until SIGTERM."""
    asyncio.run(_tap(settings))


class TableFile:
    """A `Watch` over one JSON file that somebody replaces whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, tell: Callable[[RouterTable], None], over: threading.Event) -> None:
        """Looks 20 times a second; a file that cannot be read changes nothing."""
        seen = b""
        while not over.wait(LOOK_S):
            try:
                found = self._path.read_bytes()
                if found != seen:
                    seen = found
                    tell(RouterTable.model_validate_json(found))
            except FileNotFoundError:
                continue
            except ValidationError as error:
                log.warning("the table in %s cannot be read: %s", self._path, error)


class Certified:
    """The certificate as files that somebody else renews: looked at before it is used."""

    def __init__(self, settings: RouterSettings, target: Path, dice: SystemDice) -> None:
        self._settings, self._target, self._dice = settings, target, dice
        self._pem = ""

    def look(self) -> bool:
        """Whether there is a new one, good to serve. Raises Refused for the first when it is not."""
        pem = bundle(self._settings)
        if not pem or pem == self._pem:
            return False
        settings = self._settings
        key = (settings.tls_key or settings.tls_cert or Path()).read_bytes()
        chain = (settings.tls_cert or Path()).read_bytes()
        for warning in check_certificate(chain, key, settings.certificate_name, self._dice.now()):
            log.warning("%s", warning)
        if not self._pem:
            write_file(self._target, pem)
        self._pem = pem
        return True

    def follow(self, sidecar: Sidecar, over: threading.Event) -> None:
        """Renewals reach HAProxy without a restart; a wrong one is told and the old one stays."""
        while not over.wait(CERTIFICATE_S):
            try:
                if self.look():
                    sidecar.renew_certificate(self._pem)
                    log.info("the certificate has been renewed")
            except (FerryError, OSError) as error:
                log.warning("the new certificate is not used: %s", error)


def _patiently(sidecar: Sidecar, over: threading.Event) -> Callable[[RouterTable], None]:
    """A table that cannot be served now is tried again until the next one comes."""

    def tell(table: RouterTable) -> None:
        while not over.is_set():
            try:
                sidecar.apply(table)
                return
            except Refused as error:
                log.error("the table is refused, the last good one serves on: %s", error)
                return
            except (FerryError, OSError) as error:
                log.warning("the table is not served yet: %s", error)
                over.wait(RETRY_S)

    return tell


async def _tap(settings: RouterSettings) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    run = places_of(settings).run
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run / "tap.sock").unlink(missing_ok=True)
    limits = TapLimits(settings.mirror_queue, settings.mirror_body_bytes)
    spool = Spool(settings.folder / "collected", SystemDice().id(10), SystemDice().now, settings.collect_bytes)
    tap = Tap(str(run / "inner.sock"), SystemDice().id(16), random.random, limits, spool)
    await tap.start(str(run / "tap.sock"))
    await over.wait()
    await tap.stop()


def _door_secret(settings: RouterSettings) -> str:
    """Without a file nobody knows it."""
    return settings.door_secret_file.read_text().strip() if settings.door_secret_file else SystemDice().secret()


def _until_told() -> threading.Event:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
