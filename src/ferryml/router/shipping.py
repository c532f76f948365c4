"""Takes records from the router's spool to the gateway, in the background, so that no request ever waits."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from ferryml.domain.collection import Batch
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.routes import EndpointRoute, RevisionRoute
from ferryml.router.haproxy.copies import Copy
from ferryml.router.haproxy.records import Spool

log = logging.getLogger(__name__)

WAITING = 1000
DRAIN_S = 0.25
Send = Callable[[Batch, bytes], None]
"""Durable at the gateway when it returns. Raises Unavailable to be asked again, Refused for what is never taken."""


class Shipper:
    """One thread.

    Args:
        every_s: how long lines wait for company before they are handed over.
    """

    def __init__(self, spool: Spool, send: Send, every_s: float) -> None:
        self._spool, self._send, self._every_s = spool, send, every_s
        self._offered: queue.Queue[tuple[EndpointRoute, RevisionRoute, Copy]] = queue.Queue(WAITING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-records", daemon=True)
        self._trouble = ""
        self.dropped = 0
        """Requests that were not recorded because too many waited, and batches that the gateway refused."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What was offered is written down; what is not handed over waits in the spool for the next life."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._drain()

    def offer(self, endpoint: EndpointRoute, revision: RevisionRoute, copy: Copy) -> None:
        """Never waits: what does not fit is dropped and counted."""
        try:
            self._offered.put_nowait((endpoint, revision, copy))
        except queue.Full:
            self.dropped += 1

    def ship(self, force: bool = False) -> int:
        """Hand over what is old enough, or with `force` everything; how many batches."""
        self._spool.seal(0 if force else self._every_s)
        shipped = 0
        for batch, path in self._spool.sealed():
            try:
                self._send(batch, path.read_bytes())
                self._trouble = ""
                shipped += 1
            except Unavailable as error:
                self._say(error)
                return shipped
            except FerryError as error:
                self.dropped += 1
                self._say(error)
            path.unlink(missing_ok=True)
        return shipped

    def _run(self) -> None:
        waited = 0.0
        while not self._over.wait(DRAIN_S):
            self._drain()
            waited += DRAIN_S
            if waited >= min(self._every_s, 5.0):
                waited = 0.0
                with suppress(OSError):
                    self.ship()

    def _drain(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._spool.put(*self._offered.get_nowait())

    def _say(self, error: FerryError) -> None:
        if error.code != self._trouble:
            log.warning("records are not handed over: %s: %s", error.code, error.message)
        self._trouble = error.code
