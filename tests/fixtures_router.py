"""The routers under the contract suite, each started on a free port of loopback."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from ferryml.router.app import Router
from ferryml.router.haproxy.process import Haproxy
from ferryml.router.haproxy.records import Spool
from ferryml.router.haproxy.router import HaproxyRouter, Places
from ferryml.settings import RouterSettings
from router_play import Play


async def _local(settings: RouterSettings, captured: list) -> tuple[Router, int]:
    dice = random.Random(7)
    router = Router(settings, dice.random, lambda: f"{dice.getrandbits(64):016x}", lambda *a: captured.append(a))
    return router, await router.start("127.0.0.1", 0)


class OnHaproxy(HaproxyRouter):
    """Its folder goes with it."""

    any_thread = True

    async def stop(self, drain_s: float = 5) -> None:
        super().stop(drain_s)
        shutil.rmtree(self.base)

    @property
    def base(self) -> Path:
        return self._places.run

    def spool(self, spool: Spool) -> None:
        self._tap._tap._spool = spool

    @property
    def haproxy(self) -> Haproxy:
        return self._haproxy


def on_haproxy(settings: RouterSettings, captured: list, places: dict | None = None, **more: object) -> OnHaproxy:
    """Not started yet."""
    dice = random.Random(7)
    base = Path(tempfile.mkdtemp(prefix="fr-"))  # the paths of sockets must be short
    return OnHaproxy(
        settings, Places(base / "files", base, **(places or {})), dice.random, lambda: f"{dice.getrandbits(64):016x}",
        lambda *a: captured.append(a), **more,
    )  # fmt: skip


async def _haproxy(settings: RouterSettings, captured: list) -> tuple[OnHaproxy, int]:
    router = on_haproxy(settings, captured)
    return router, router.start("127.0.0.1", 0)


ROUTERS = {"local": _local, "haproxy": _haproxy}
"""Add a router here and the whole suite runs over it."""


@pytest.fixture
def captured() -> list:
    """What the router handed over as (uid, request id, revision, prediction)."""
    return []


@pytest.fixture(params=ROUTERS)
async def play(request, captured):
    """A started router with an empty table, and a caller."""
    if request.param == "haproxy":
        request.getfixturevalue("component")("haproxy")
    settings = RouterSettings(max_body_bytes=100_000, mirror_queue=8)
    router, port = await ROUTERS[request.param](settings, captured)
    made = Play(router, port)
    yield made
    await made.stop()
    await router.stop(1)


@pytest.fixture
async def on(component, captured):
    """`await on(max_connections=10)`: a caller of HAProxy alone, with these settings."""
    component("haproxy")
    plays = []

    async def make(host: str = "127.0.0.1", places: dict | None = None, **settings: object) -> Play:
        router = on_haproxy(RouterSettings(**settings), captured, places)
        plays.append(Play(router, router.start(host, 0)))
        return plays[-1]

    yield make
    for play in plays:
        await play.stop()
        await play.router.stop(1)


@pytest.fixture(params=ROUTERS)
async def anywhere(request, captured):
    """As `on`, over each router."""
    if request.param == "haproxy":
        request.getfixturevalue("component")("haproxy")
    made = []

    async def make(**settings: object) -> Play:
        router, port = await ROUTERS[request.param](RouterSettings(**settings), captured)
        made.append((router, Play(router, port)))
        return made[-1][1]

    yield make
    for router, play in made:
        await play.stop()
        await router.stop(1)
