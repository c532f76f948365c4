"""The routers under the contract suite, each started on a free port of loopback."""

import random

import pytest

from ferryml.router.app import Router
from ferryml.settings import RouterSettings
from router_play import Play


async def _local(settings: RouterSettings, captured: list) -> tuple[Router, int]:
    dice = random.Random(7)
    router = Router(settings, dice.random, lambda: f"{dice.getrandbits(64):016x}", lambda *a: captured.append(a))
    return router, await router.start("127.0.0.1", 0)


ROUTERS = {"local": _local}
"""Add a router here and the whole suite runs over it."""


@pytest.fixture
def captured() -> list:
    """What the router handed over as (uid, request id, revision, prediction)."""
    return []


@pytest.fixture(params=ROUTERS)
async def play(request, captured):
    """A started router with an empty table, and a caller."""
    settings = RouterSettings(max_body_bytes=100_000, mirror_queue=8)
    router, port = await ROUTERS[request.param](settings, captured)
    made = Play(router, port)
    yield made
    await made.stop()
    await router.stop(1)
