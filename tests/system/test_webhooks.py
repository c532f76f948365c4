"""Webhooks through whole programs: a receiver hears once, and what it missed once it and the server are back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver_play import Receiver
from system_play import W, World, until
from webhook_play import SECRET, verified

pytestmark = pytest.mark.timeout(120)
INSIDE = {"FERRY_SERVER_WEBHOOK_ALLOW_HTTP": "true", "FERRY_SERVER_WEBHOOK_NETWORKS": "127.0.0.0/8"}
LOOP = {
    "triggers": [{"type": "model", "asset": "azureml:partner"}], "gate": {"primary_metric": "accuracy"},
    "notify": [{"webhook": "mlops", "on": ["rejected", "rolled_back"]}],
}  # fmt: skip
"""A model from elsewhere, which proves nothing: each run of it is rejected."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, **INSIDE)
    yield made
    made.close()


def model(world: World, body: bytes) -> None:
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    assert world.api.put(f"{W}/artifacts/blobs/{digest}", content=body).status_code in (200, 201)
    spec = {"name": "partner", "type": "custom_model", "path": f"content:file:{digest}:m.bin"}
    world.post(f"{W}/models", spec)


def hook(world: World) -> Any:
    return world.get(f"{W}/webhooks/mlops")["ferry"]


def test_a_rejected_run_is_told_once_and_what_was_missed_is_told_later(world: World) -> None:
    world.serve()
    receiver = Receiver()
    made = world.post(f"{W}/webhooks", {"name": "mlops", "url": receiver.url, "secret": SECRET})
    assert "secret" not in made
    assert '"status": 204' in world.ferry("webhook", "test", "-n", "mlops")
    world.put(f"{W}/automations/loop", LOOP)
    model(world, b"one")
    until(lambda: len(receiver.posts) == 2, 20, world.tail)
    ping, post = receiver.posts
    event = post.event()
    assert verified(SECRET, ping)
    assert verified(SECRET, post)
    assert (event["type"], event["subject"]) == ("dev.ferryml.automation.rejected", "loop/1")
    assert event["data"]["evidence"]["code"] == "MetricMissing"
    assert world.api.get(event["data"]["url"]).json()["state"] == "rejected"
    receiver.close()
    model(world, b"two")
    until(lambda: "failing" in hook(world), 20, world.tail)
    assert (hook(world)["waiting"], hook(world)["delivered"]) == (1, 1)
    world.kill("server")
    again = Receiver(receiver.port)
    world.serve()
    until(lambda: again.posts, 30, world.tail)
    until(lambda: hook(world)["waiting"] == 0, 10, world.tail)
    time.sleep(1.2)
    again.close()
    assert len(receiver.posts) == 2
    [late] = again.posts
    assert verified(SECRET, late)
    assert (late.event()["subject"], late.event()["data"]["state"]) == ("loop/2", "rejected")
    assert late.event()["id"] != event["id"]
    assert late.event()["sequence"] > event["sequence"]
    assert SECRET not in world.log("server")
    assert (hook(world)["delivered"], "failing" in hook(world)) == (2, False)
