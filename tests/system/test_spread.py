"""One endpoint on two sites, each an agent of its own: asked, changed, rolled out, and away for a while."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from system_play import PLAIN, Callers, W, World, until

pytestmark = pytest.mark.timeout(300)
AT = f"{W}/online-endpoints/point"
SERVE = """
import http.server, json, os, sys
class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *said): pass
    def answer(self):
        body = json.dumps({"who": os.environ["WHO"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer()
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer()
print("hello from", os.environ["WHO"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server that soon notices silence, and two sites: `local` with compute `here`, `onprem` with `there`."""
    made = World(tmp_path, FERRY_SERVER_SITE_OFFLINE_S="18")
    try:
        made.serve()
        made.join()
        made.join("onprem", "there")
        yield made
    finally:
        made.close()


def deployment(world: World, who: str, name: str = "blue") -> dict[str, Any]:
    script = world.folder / "serve.py"
    script.write_text(SERVE)
    probe = {"period": 1, "initial_delay": 1}
    return {
        "name": name, "type": "kubernetes", "environment": PLAIN, "environment_variables": {"WHO": who},
        "command": f"exec {sys.executable} {script} ${{{{port}}}}", "readiness_probe": probe, "liveness_probe": probe,
    }  # fmt: skip


def point(world: World, who: str = "old") -> None:
    """Endpoint `point` on both, with a deployment that serves on both."""
    (world.folder / "point.yml").write_text("name: point\ncompute: [azureml:here, azureml:there]\nauth_mode: key\n")
    (world.folder / "blue.json").write_text(json.dumps({**deployment(world, who), "endpoint_name": "point"}))
    world.ferry("online-endpoint", "create", "-f", "point.yml")
    world.ferry("online-deployment", "create", "-f", "blue.json", "--all-traffic")


def sites(world: World) -> Any:
    return world.get(AT)["ferry"]["sites"]


def settled(world: World, within_s: float = 60) -> None:
    until(
        lambda: world.get(AT)["provisioning_state"] == "Succeeded", within_s, lambda: f"{world.get(AT)}{world.tail()}"
    )


def asks(world: World, compute: str, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(sites(world)[compute]["scoring_uri"], json={}, headers=headers, timeout=30, trust_env=False)
    return answer.json()["who"] if answer.status_code == 200 else answer.status_code


def test_it_is_asked_changed_and_removed_on_both(world: World) -> None:
    point(world)
    told = world.get(AT)
    assert (told["provisioning_state"], told["compute"], told["traffic"]) == (
        "Succeeded", ["here", "there"], {"blue": 100},
    )  # fmt: skip
    for compute, site in (("here", "local"), ("there", "onprem")):
        one = told["ferry"]["sites"][compute]
        assert (one["site"], one["reachable"]) == (site, True)
        assert (one["deployments"]["blue"]["ready"], one["deployments"]["blue"]["desired"]) == (1, 1)
    assert sites(world)["here"]["scoring_uri"] != sites(world)["there"]["scoring_uri"]
    keys = world.get(f"{AT}/credentials")
    assert [asks(world, compute, keys["primaryKey"]) for compute in ("here", "there")] == ["old", "old"]
    assert json.loads(world.ferry("online-endpoint", "invoke", "-n", "point", "--compute", "there"))["who"] == "old"
    logs = world.ferry("online-deployment", "get-logs", "-n", "blue", "-e", "point", "--compute", "there")
    assert "hello from old" in logs
    fresh = json.loads(world.ferry("online-endpoint", "regenerate-keys", "-n", "point"))
    for compute in ("here", "there"):
        until(lambda compute=compute: asks(world, compute, fresh["primaryKey"]) == "old", 20, world.tail)
        assert asks(world, compute, keys["primaryKey"]) == 401
    until(lambda: world.get(f"{AT}/stats")["deployments"]["blue"].get("requests", 0) >= 4, 20, world.tail)
    figures = world.get(f"{AT}/stats")
    assert figures["deployments"]["blue"]["requests"] == sum(
        one["deployments"]["blue"]["requests"] for one in figures["sites"].values()
    )
    assert "there" in world.ferry("online-endpoint", "show", "-n", "point", "-o", "table")
    world.ferry("online-endpoint", "update", "-n", "point", "--compute", "there,")
    assert list(sites(world)) == ["there"]
    assert asks(world, "there", fresh["primaryKey"]) == "old"
    world.ferry("online-endpoint", "update", "-n", "point", "--set", "compute=[there, here]")
    assert asks(world, "here", fresh["primaryKey"]) == "old"
    world.ferry("online-endpoint", "delete", "-n", "point", "-y")
    assert world.get(f"{W}/online-endpoints")["items"] == []


def test_a_site_that_is_away_waits_and_catches_up(world: World) -> None:
    point(world)
    key, there = world.get(f"{AT}/keys")["primaryKey"], sites(world)["there"]["scoring_uri"]
    world.relays["onprem"].cut()
    until(lambda: not sites(world)["there"]["reachable"], 30, world.tail)
    with Callers(there, key) as callers:
        said = world.ferry("online-deployment", "update", "-n", "blue", "-e", "point", "--set",
                           "environment_variables.WHO=new")  # fmt: skip
        assert json.loads(said)["ferry"]["waiting_for"] == ["there"]
        assert asks(world, "here", key) == "new"
        assert asks(world, "there", key) == "old", "it goes on serving what it has"
        assert json.loads(world.ferry("online-endpoint", "invoke", "-n", "point"))["who"] == "new"
        world.relays["onprem"].mend()
        settled(world)
        until(lambda: asks(world, "there", key) == "new", 20, world.tail)
        answers = callers.answers()
    assert {status for status, _ in answers} == {200}, answers
    world.relays["onprem"].cut()
    until(lambda: not sites(world)["there"]["reachable"], 30, world.tail)
    world.ferry("online-endpoint", "delete", "-n", "point", "-y")
    left = world.get(AT)
    assert (left["provisioning_state"], left["ferry"]["waiting_for"]) == ("Deleting", ["there"])
    world.relays["onprem"].mend()
    until(lambda: world.get(f"{W}/online-endpoints")["items"] == [], 60, world.tail)


def test_a_rollout_goes_through_its_sites(world: World) -> None:
    point(world)
    rollout = {"name": "r", "deployment": deployment(world, "new"), "endpoints": "point", "keep_previous": 60}
    world.post(f"{W}/rollouts", rollout)
    until(lambda: world.get(f"{W}/rollouts/r")["status"] in ("promoted", "rolled_back"), 90, world.tail)
    told = world.get(f"{W}/rollouts/r")
    assert told["status"] == "promoted", told
    first, second = (told["ferry"]["endpoints"][f"point@{compute}"] for compute in ("here", "there"))
    assert first["evidence"][-1]["at"] < second["evidence"][0]["at"], "one after another"
    settled(world)
    key = world.get(f"{AT}/keys")["primaryKey"]
    assert [asks(world, compute, key) for compute in ("here", "there")] == ["new", "new"]
    assert world.get(f"{AT}/deployments/blue")["environment_variables"] == {"WHO": "new"}
