"""Rollouts with the cable cut: the site alone takes a bad candidate back and a good one through."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system_play import PLAIN, Callers, W, World, until

pytestmark = pytest.mark.timeout(180)
SERVE = """
import http.server, itertools, json, os, sys, time
name, every, pause = os.environ["WHO"], int(os.environ.get("FAIL_EVERY", "0")), float(os.environ.get("PAUSE_S", "0"))
count = itertools.count(1)
class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *said): pass
    def answer(self, status):
        body = json.dumps({"from": name}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200)
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(pause)
        self.answer(500 if every and next(count) % every == 0 else 200)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""


def deployment(world: World, who: str, **variables: str) -> dict[str, Any]:
    script = world.folder / "serve.py"
    script.write_text(SERVE)
    probe = {"period": 1, "initial_delay": 1}
    return {
        "name": "blue", "type": "kubernetes", "environment": PLAIN, "instance_count": 1,
        "command": f"exec {sys.executable} {script} ${{{{port}}}}", "readiness_probe": probe, "liveness_probe": probe,
        "environment_variables": {"WHO": who, **variables},
        "request_settings": {"max_concurrent_requests_per_instance": 8, "max_queue_wait_ms": 5000},
    }  # fmt: skip


def endpoint(world: World, name: str = "point", compute: str = "here") -> tuple[str, str]:
    """An endpoint whose champion serves; its address and key."""
    at = f"{W}/online-endpoints/{name}"
    world.post(f"{W}/online-endpoints", {"name": name, "compute": f"azureml:{compute}"})
    until(lambda: world.get(at)["provisioning_state"] == "Succeeded", 30, world.tail)
    world.api.post(f"{at}/deployments", params={"all_traffic": True}, json=deployment(world, "champion"))
    until(lambda: world.get(f"{at}/deployments/blue")["provisioning_state"] == "Succeeded", 60, world.tail)
    return world.get(at)["scoring_uri"], world.get(f"{at}/keys")["primaryKey"]


def plan(world: World, who: str, **variables: str) -> dict[str, Any]:
    """Mirror, 10, 50, 100; each step waits for its requests."""
    return {
        "name": f"to-{who}", "deployment": deployment(world, who, **variables), "endpoints": ["point"],
        "mirror": {"percent": 50, "min_requests": 15}, "steps": [10, 50, 100],
        "per_step": {"min_requests": 15, "timeout": 120}, "keep_previous": 60,
        "rollback_if": {"max_error_rate": 0.1, "max_p99_ratio": 8, "min_requests": 10},
    }  # fmt: skip


def told(world: World, name: str, at: str = "point") -> Any:
    return world.get(f"{W}/rollouts/{name}")["ferry"]["endpoints"].get(at) or {"state": "", "percent": 0}


def reaches(world: World, name: str, state: str, percent: int = 0) -> None:
    """Until the server has heard that the site is there, or beyond."""

    def there() -> bool:
        now = told(world, name)
        return now["state"] == state and now["percent"] >= percent

    until(there, 60, lambda: f"{told(world, name)}\n{world.tail()}")


def ends(world: World, name: str, status: str) -> Any:
    until(lambda: world.get(f"{W}/rollouts/{name}")["status"] in ("promoted", "rolled_back", "failed"), 90, world.tail)
    rollout = world.get(f"{W}/rollouts/{name}")
    assert rollout["status"] == status, rollout
    return rollout


@pytest.fixture
def point(world: World) -> Iterator[Callers]:
    """People who score on an endpoint with a good champion."""
    uri, key = endpoint(world)
    with Callers(uri, key) as callers:
        yield callers


def only(callers: Callers, who: str, count: int = 30) -> bool:
    """Whether the last answers all come from there; looks at those that begin from now on."""
    since = time.monotonic()
    until(lambda: len(callers.answers(since)) >= count, 20)
    return all(status == 200 and who in body for status, body in callers.answers(since))


def test_a_candidate_that_fails_is_taken_back_with_the_server_gone(world: World, point: Callers) -> None:
    """The server dies once the site has the order: before a single request was mirrored."""
    world.post(f"{W}/rollouts", plan(world, "bad", FAIL_EVERY="2"))
    reaches(world, "to-bad", "preparing")
    world.kill("server")
    until(lambda: only(point, "champion"), 60)
    world.serve()
    rollout = ends(world, "to-bad", "rolled_back")
    last = rollout["ferry"]["endpoints"]["point"]["evidence"][-1]
    assert "error rate" in last["reason"]
    assert last["figures"]["candidate"]["mirror_errors"] > 0
    assert {status for status, _ in point.answers()} == {200}, "a mirror harms nobody"
    assert only(point, "champion")


@pytest.mark.parametrize("percent", [10, 50])
def test_a_candidate_that_goes_bad_in_a_step_is_taken_back_with_the_cable_cut(
    world: World, point: Callers, percent: int, tmp_path: Path
) -> None:
    order = plan(world, "late", PAUSE_S="0.001")
    # nothing is measured but what the candidate answers to people, and the steps wait for more than will come
    order |= {"mirror": None, "steps": [10, 50, 100], "per_step": {"min_requests": 15, "timeout": 120}}
    order["rollback_if"] = {"max_error_rate": 0.1, "min_requests": 10}
    order["deployment"]["environment_variables"]["FAIL_EVERY"] = "0"
    fuse = tmp_path / "fuse"
    script = Path(order["deployment"]["command"].split()[2])
    script.write_text(
        SERVE.replace("500 if every and", f"500 if os.path.exists({str(fuse)!r}) and name == 'late' or every and")
    )
    if percent == 10:
        order["per_step"]["min_requests"] = 100000
    else:
        order["steps"] = [50, 100]
        order["per_step"]["min_requests"] = 100000
    world.post(f"{W}/rollouts", order)
    reaches(world, "to-late", "stepping", percent)
    world.relays["local"].cut()
    fuse.touch()
    until(lambda: only(point, "champion"), 60)
    failed = [body for status, body in point.answers() if status != 200]
    assert 0 < len(failed) <= 40
    assert all("champion" not in body for body in failed)
    assert told(world, "to-late")["state"] == "stepping", "the server knows nothing yet"
    world.relays["local"].mend()
    rollout = ends(world, "to-late", "rolled_back")
    last = rollout["ferry"]["endpoints"]["point"]["evidence"][-1]
    assert last["transition"] == f"step {percent} % -> rolled_back"
    assert only(point, "champion")


def test_a_slow_candidate_is_taken_back_with_the_cable_cut(world: World, point: Callers) -> None:
    order = plan(world, "slow", PAUSE_S="0.4")
    order["mirror"] = None
    world.post(f"{W}/rollouts", order)
    reaches(world, "to-slow", "preparing")
    world.relays["local"].cut()
    until(lambda: any("slow" in body for _, body in point.answers()), 60)
    until(lambda: only(point, "champion"), 60)
    world.relays["local"].mend()
    rollout = ends(world, "to-slow", "rolled_back")
    assert "p99" in rollout["ferry"]["endpoints"]["point"]["evidence"][-1]["reason"]
    assert {status for status, _ in point.answers()} == {200}


def test_a_good_candidate_is_promoted_with_the_cable_cut(world: World, point: Callers) -> None:
    world.post(f"{W}/rollouts", plan(world, "good"))
    reaches(world, "to-good", "preparing")
    world.relays["local"].cut()
    until(lambda: only(point, "good"), 90)
    world.relays["local"].mend()
    rollout = ends(world, "to-good", "promoted")
    moves = [move["transition"] for move in rollout["ferry"]["endpoints"]["point"]["evidence"]]
    assert moves[-1] == "step 100 % -> promoted"
    assert len(moves) == 5
    assert {status for status, _ in point.answers()} == {200}
    seen = world.get(f"{W}/online-endpoints/point/deployments/blue")
    assert seen["provisioning_state"] == "Succeeded"
    assert seen["environment_variables"]["WHO"] == "good"
