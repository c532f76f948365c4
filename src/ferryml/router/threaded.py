"""The router beside an agent in one process: its own loop in its own thread, and a door that any thread may use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from ferryml.domain.counters import Counters
from ferryml.domain.errors import Unavailable
from ferryml.domain.routes import EndpointRoute
from ferryml.router.app import Router

T = TypeVar("T")
_WAIT_S = 10.0


class RouterThread:
    """Start it once; every method blocks until the router's loop has done it, a few milliseconds at most."""

    def __init__(self, make: Callable[[], Router]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="router", daemon=True)
        self._router: Router | None = None
        self.url = ""

    def start(self, host: str, port: int, scheme: str = "http") -> str:
        """Listen; returns the URL without a trailing slash. Raises OSError when the port is taken."""
        loop = self._loop = asyncio.new_event_loop()
        self._thread.start()
        router = self._make()
        bound = asyncio.run_coroutine_threadsafe(router.start(host, port), loop).result(_WAIT_S)
        self._router = router
        self.url = f"{scheme}://{host}:{bound}"
        return self.url

    def stop(self, drain_s: float = 5) -> None:
        """Finish requests under way, then end the thread. Does nothing when it is not running."""
        loop, router = self._loop, self._router
        if loop is None or not self._thread.is_alive():
            return
        if router is not None:
            asyncio.run_coroutine_threadsafe(router.stop(drain_s), loop).result(drain_s + _WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(_WAIT_S)
        if not self._thread.is_alive():
            loop.close()

    def apply(self, route: EndpointRoute) -> None:
        """As `Router.apply`; in effect when this returns."""
        self._do(lambda router: router.apply(route))

    def drop(self, uid: str) -> None:
        """As `Router.drop`."""
        self._do(lambda router: router.drop(uid))

    def totals(self, uid: str) -> dict[str, Counters]:
        """As `Router.totals`."""
        return self._do(lambda router: router.totals(uid))

    def recent(self, uid: str) -> dict[str, Counters]:
        """As `Router.recent`."""
        return self._do(lambda router: router.recent(uid))

    def busy(self, uid: str) -> dict[tuple[str, int, int], int]:
        """As `Router.busy`."""
        return self._do(lambda router: router.busy(uid))

    def queued(self, uid: str) -> dict[str, int]:
        """As `Router.queued`."""
        return self._do(lambda router: router.queued(uid))

    def hears_all(self, uid: str) -> bool:
        """There is no other."""
        return True

    def _do(self, what: Callable[[Router], T]) -> T:
        loop, router = self._loop, self._router
        if loop is None or router is None:
            raise Unavailable("Unavailable", "the router has not been started")

        async def done() -> T:
            return what(router)

        return asyncio.run_coroutine_threadsafe(done(), loop).result(_WAIT_S)

    def _run(self) -> None:
        if self._loop is not None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_forever()
