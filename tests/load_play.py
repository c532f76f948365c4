"""Models that do as each request says, and people who ask them: for tests of load on a cluster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from cluster_play import IMAGE
from serving_cluster_play import Serving

PROGRAM = """
import http.server, json, os, signal, socket, threading, time
lock, active = threading.Lock(), 0
def count(change):
    global active
    with lock: active += change
class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *said): pass
    def do_GET(self): self.answer({})
    def do_POST(self):
        count(1)
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            asked = asked | asked.get(os.environ["ROLE"], {})
            if asked.get("dies"): os._exit(1)
            time.sleep(asked.get("takes", float(os.environ.get("TAKES_S", "0"))))
            self.answer(asked.get("says", {"from": socket.gethostname()}))
        finally:
            count(-1)
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("", 5001), Door)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
while active: time.sleep(0.05)
os._exit(0)
"""
"""`ROLE` names the part of a request that is for this deployment alone: `{"takes": 1, "shadow": {"dies": true}}`."""
ROUTES = {f"{name}_route": {"port": 5001, "path": "/score"} for name in ("liveness", "readiness", "scoring")}
LITTLE = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "200Mi"}}


@dataclass(frozen=True, slots=True)
class Said:
    """One answer; status 0: there was none."""

    status: int
    body: Any
    took_s: float


class People:
    """Who ask one endpoint, each on a connection of its own that is kept."""

    def __init__(self, serving: Serving, endpoint: str) -> None:
        self._uri, self._key = serving.uri(endpoint), serving.key(endpoint)

    def ask(self, *bodies: object) -> list[Said]:
        """One after the other."""
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(trust_env=False, timeout=90, headers=headers) as http:
            return [self._one(http, body) for body in bodies]

    def at_once(self, people: Sequence[Sequence[object]]) -> list[Said]:
        """What each of them asks, all of them beside one another."""
        with ThreadPoolExecutor(len(people)) as several:
            return [said for one in several.map(lambda bodies: self.ask(*bodies), people) for said in one]

    def _one(self, http: httpx.Client, body: object) -> Said:
        began = time.monotonic()
        try:
            answer = http.post(self._uri, json=body)
        except httpx.HTTPError as error:
            return Said(0, repr(error), time.monotonic() - began)
        return Said(answer.status_code, answer.json(), time.monotonic() - began)


def a_model(serving: Serving, endpoint: str, name: str = "blue", role: str = "live", **fields: Any) -> dict[str, Any]:
    """A deployment of the program above, which needs no package."""
    return serving.document(
        endpoint, name, resources=LITTLE, command='exec python3 -c "$PROGRAM"',
        environment={"name": "own", "image": IMAGE, "inference_config": ROUTES},
        environment_variables={"PROGRAM": PROGRAM, "ROLE": role}, **fields,
    )  # fmt: skip
