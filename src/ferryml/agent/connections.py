"""Shells in running jobs: the site asks whether there is one, and carries its bytes both ways, all by calling out."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable

from ferryml.agent.ports import ConnectionLink, Ledger, Shell, Shells
from ferryml.domain.connection import (
    MOST_PIECE,
    Connection,
    ConnectionAsk,
    Frames,
    Piece,
    Terminal,
    check_free,
    exit_frame,
)
from ferryml.domain.errors import Conflict, FerryError, Refused, Unavailable
from ferryml.domain.orders import JobOrder

log = logging.getLogger(__name__)

WAIT_S = 20.0
RETRY_S = 1.0
LAST_TRIES = 5
"""How often what is left to say is tried once the connection is to end."""


Orders = Callable[[str], JobOrder | None]


def job_order(ledger: Ledger) -> Orders:
    """The orders of jobs in a ledger."""

    def look(uid: str) -> JobOrder | None:
        wish = ledger.wish(uid)
        return wish.order if wish is not None and isinstance(wish.order, JobOrder) else None

    return look


class Guarded:
    """Shells of jobs that this site was told to run, whatever the server says, and of none that sees bound data."""

    def __init__(self, shells: Shells, order: Orders) -> None:
        self._shells, self._order = shells, order

    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> Shell:
        """Raises Conflict(NotRunning), Forbidden(ResidencyViolation), Refused, Unavailable."""
        order = self._order(uid)
        if order is None:
            raise Conflict("NotRunning", "this site runs no such job")
        check_free(order.name, order.residency)
        return self._shells.open(uid, attempt, ask)


class ConnectionLoop:
    """One thread that asks, two for each connection.

    Args:
        order: of a job's uid, None where this site has none.
    """

    def __init__(self, link: ConnectionLink, shells: Shells, order: Orders) -> None:
        self._link, self._shells = link, Guarded(shells, order)
        self._stopping = threading.Event()
        self._known: dict[str, Relay] = {}
        self._thread = threading.Thread(target=self._run, name="ferry-connect", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends all shells; the call under way is abandoned."""
        self._stopping.set()
        for relay in tuple(self._known.values()):
            relay.end()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                told = self._link.connections(sorted(self._known), WAIT_S)
            except FerryError as error:
                log.debug("nobody can connect now: %s: %s", error.code, error.message)
                self._stopping.wait(RETRY_S * 5)
                continue
            ids = {each.id for each in told.connections}
            for key in self._known.keys() - ids:
                self._known[key].end()  # also one whose program reads nothing, so that its end was not heard
            self._known = {key: relay for key, relay in self._known.items() if key in ids or relay.alive}
            for each in told.connections:
                if each.id not in self._known and not self._stopping.is_set():
                    relay = self._known[each.id] = Relay(self._link, self._shells, each, self._stopping.wait)
                    relay.start()


class Relay:
    """Carries one connection to its end."""

    def __init__(
        self, link: ConnectionLink, shells: Shells, connection: Connection, pause: Callable[[float], object]
    ) -> None:
        self._link, self._shells, self._it, self._pause = link, shells, connection, pause
        self._shell: Shell | None = None
        self._over = threading.Event()
        self._said = 0
        self._thread = threading.Thread(target=self._run, name=f"ferry-shell-{connection.id[:6]}", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Somebody has had enough."""
        self._over.set()
        if self._shell is not None:
            self._shell.close()

    def _run(self) -> None:
        log.info("connection %s to %s begins", self._it.id, self._it.uid)
        try:
            self._shell = self._shells.open(self._it.uid, self._it.attempt, self._it.ask)
        except FerryError as error:
            self._say(exit_frame(255, f"{error.code}: {error.message}").to_bytes(), over=True)
            return
        if self._over.is_set():  # it came too late
            self._shell.close()
        threading.Thread(target=self._listen, args=(self._shell,), daemon=True).start()
        try:
            self._speak(self._shell)
        finally:
            self.end()
            log.info("connection %s to %s is over", self._it.id, self._it.uid)

    def _speak(self, shell: Shell) -> None:
        while True:
            frame = shell.read()
            data, last = frame.to_bytes(), frame.kind == "exit"
            if not self._say(data, over=last) or last:
                return

    def _say(self, data: bytes, over: bool = False) -> bool:
        """False when nobody listens any more. What the link lost is said again, at the same place."""
        late = 0
        for start in range(0, len(data), MOST_PIECE):
            part = data[start : start + MOST_PIECE]
            piece = Piece(
                offset=self._said, data=base64.b64encode(part).decode(), over=over and start + len(part) == len(data)
            )
            while True:
                try:
                    self._link.say(self._it.id, piece)
                    break
                except Unavailable:
                    late += self._over.is_set()
                    if late > LAST_TRIES:
                        return False
                    self._pause(RETRY_S)
                except Refused as error:
                    log.info("connection %s: %s", self._it.id, error.message)
                    return False
            self._said += len(part)
        return True

    def _listen(self, shell: Shell) -> None:
        """Until who asked has gone, or the shell has ended."""
        frames, offset = Frames(), 0
        while not self._over.is_set():
            try:
                piece = self._link.hear(self._it.id, offset, WAIT_S)
                data = base64.b64decode(piece.data)
                offset += len(data)
                for frame in frames.feed(data):
                    match frame.kind:
                        case "data":
                            shell.write(frame.payload)
                        case "size":
                            shell.resize(Terminal.model_validate_json(frame.payload))
                        case "end":
                            shell.end_input()
                if piece.over:
                    break
            except Unavailable:
                self._pause(RETRY_S)
            except (FerryError, ValueError) as error:
                log.info("connection %s: %s", self._it.id, error)
                break
        self.end()
