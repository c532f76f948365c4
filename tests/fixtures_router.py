"""The routers under the contract suite, each started on a free port of loopback."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from ferryml.router.app import Router
from ferryml.router.haproxy.router import HaproxyRouter, Places
from ferryml.settings import RouterSettings
from router_play import Play


async def _local(settings: RouterSettings, captured: list) -> tuple[Router, int]:
    dice = random.Random(7)
    router = Router(settings, dice.random, lambda: f"{dice.getrandbits(64):016x}", lambda *a: captured.append(a))
    return router, await router.start("127.0.0.1", 0)


class OnHaproxy(HaproxyRouter):
    """Its folder goes with it."""

    async def stop(self, drain_s: float = 5) -> None:
        super().stop(drain_s)
        shutil.rmtree(self._places.run)


async def _haproxy(settings: RouterSettings, captured: list) -> tuple[OnHaproxy, int]:
    dice = random.Random(7)
    base = Path(tempfile.mkdtemp(prefix="fr-"))  # the paths of sockets must be short
    router = OnHaproxy(
        settings, Places(base / "files", base), dice.random, lambda: f"{dice.getrandbits(64):016x}",
        lambda *a: captured.append(a),
    )  # fmt: skip
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
