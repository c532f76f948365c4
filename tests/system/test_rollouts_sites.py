"""One rollout over two sites, each an agent of its own: in order, and back again when the second refuses it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from system_play import PLAIN, W, World, until

pytestmark = pytest.mark.timeout(180)
SERVE = """
import http.server, os, sys
class Door(http.server.BaseHTTPRequestHandler):
    def log_message(self, *said): pass
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
if os.environ.get("BREAK_IN", "none") in os.getcwd(): sys.exit("broken here")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""


def deployment(world: World, **variables: str) -> dict[str, Any]:
    script = world.folder / "serve.py"
    script.write_text(SERVE)
    probe = {"period": 1, "initial_delay": 1}
    return {
        "name": "blue", "type": "kubernetes", "environment": PLAIN, "environment_variables": variables,
        "command": f"exec {sys.executable} {script} ${{{{port}}}}", "readiness_probe": probe, "liveness_probe": probe,
    }  # fmt: skip


def test_the_second_sites_failure_takes_the_first_back(world: World) -> None:
    world.join("onprem", "there")
    for name, compute in (("near", "here"), ("far", "there")):
        at = f"{W}/online-endpoints/{name}"
        world.post(f"{W}/online-endpoints", {"name": name, "compute": f"azureml:{compute}"})
        until(lambda at=at: world.get(at)["provisioning_state"] == "Succeeded", 30, world.tail)
        world.api.post(f"{at}/deployments", params={"all_traffic": True}, json=deployment(world, WHO="old"))
        blue = f"{at}/deployments/blue"
        until(lambda blue=blue: world.get(blue)["provisioning_state"] == "Succeeded", 60, world.tail)
    new = deployment(world, WHO="new", BREAK_IN="/onprem/")
    world.post(f"{W}/rollouts", {"name": "r", "deployment": new, "endpoints": ["near", "far"], "keep_previous": 600})
    until(lambda: world.get(f"{W}/rollouts/r")["status"] in ("promoted", "rolled_back"), 90, world.tail)
    rollout = world.get(f"{W}/rollouts/r")
    told = rollout["ferry"]["endpoints"]
    assert rollout["status"] == "rolled_back", rollout
    assert (told["near"]["state"], told["far"]["state"]) == ("rolled_back", "failed"), told
    assert told["near"]["evidence"][-1]["at"] < told["far"]["evidence"][0]["at"], "one after another"
    for name in ("near", "far"):
        blue = world.get(f"{W}/online-endpoints/{name}/deployments/blue")
        assert blue["environment_variables"] == {"WHO": "old"}
        [instances] = [one for one in blue["ferry"]["instances"].items() if one[0] == blue["ferry"]["serving"]]
        assert instances[1]["ready"] == 1
