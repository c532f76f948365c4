"""A stand-in for the Ferry server's side of the gateway: real HTTP, everything kept in memory, faults on request."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ferryml.domain.link import Enrolled, Grant

SERVER_ID, SITE = "ferry-play", "site"


class PlayServer:
    """Listens on a free port of 127.0.0.1 until `close`."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.blobs: dict[str, bytes] = {}
        self.visible: set[str] = set()
        self.uploads: dict[str, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.acknowledged: dict[str, int] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.refuse: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda entry: None
        self.fault: Callable[[Request], Response | None] = lambda request: None
        self.unknown: set[str] = set()
        self.spoiled = b""
        self.public_keys: dict[str, str] = {}
        self.clock_shift_s = 0.0
        routes = [
            Route("/gateway/v1/blobs/{digest}", self._blob, methods=["GET", "HEAD"]),
            Route("/gateway/v1/uploads", self._start, methods=["POST"]),
            Route("/gateway/v1/uploads/{id}", self._part, methods=["PATCH"]),
            Route("/gateway/v1/uploads/{id}/finish", self._finish, methods=["POST"]),
            Route("/gateway/v1/journal", self._journal, methods=["POST"]),
            Route("/gateway/v1/mlflow/{path:path}", self._mlflow, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), port=0, log_config=None, lifespan="off", date_header=False, server_header=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until = time.monotonic() + 10
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.005)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)

    def enrolled(self) -> Enrolled:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Enrolled(
            site=SITE, zone="", server_id=SERVER_ID, server_key=base64.b64encode(raw).decode(), epoch="e1",
            server_time=datetime.now(UTC),
        )  # fmt: skip

    def keep(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def grant(self, uid: str = "job.w.j", **changes: Any) -> str:
        claims: dict[str, Any] = {
            "iss": SERVER_ID, "site": SITE, "uid": uid, "generation": 1, "workspace": "w", "kind": "Job", "name": "j",
            "writes": ("outputs", "logs", "mlflow"), "mlflow_run_id": "a" * 32,
        }  # fmt: skip
        grant = Grant(**{**claims, **changes})
        return jwt.encode(grant.model_dump(mode="json"), self.key, algorithm="EdDSA")

    def logs(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for entry in self.entries:
            if entry["item"]["kind"] == "log":
                path = entry["item"]["path"]
                found[path] = found.get(path, b"") + base64.b64decode(entry["item"]["data"])
        return found

    def items(self, kind: str) -> list[dict[str, Any]]:
        return [entry["item"] for entry in self.entries if entry["item"]["kind"] == kind]

    def _answer(self, request: Request, body: Any, status: int = 200, **headers: str) -> Response:
        made = Response(body, status) if isinstance(body, bytes) else JSONResponse(body, status)
        made.headers.update(headers)
        shifted = datetime.fromtimestamp(time.time() + self.clock_shift_s, UTC)
        made.headers["Date"] = shifted.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return made

    def _first(self, request: Request) -> Response | None:
        self.requests.append(request)
        fault = self.fault(request)
        if fault is not None:
            return fault
        if not self.public_keys:
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        now = time.time() + self.clock_shift_s
        if not claims["iat"] - 30 <= now < claims["exp"] + 30:
            return self._answer(request, {"error": {"code": "TokenExpired", "message": "skew"}}, 401)
        return None

    async def _blob(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        data = self.blobs.get(request.path_params["digest"])
        if data is None:
            return self._answer(request, {"error": {"code": "BlobMissing", "message": "not here"}}, 404)
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        return self._answer(request, data[start:], 206 if start else 200)

    async def _start(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        said = await request.json()
        if said["digest"] in self.blobs:
            return self._answer(request, {"id": "", "offset": 0, "done": True})
        ident = said["digest"].removeprefix("sha256:")
        upload = self.uploads.setdefault(ident, {"digest": said["digest"], "data": b""})
        return self._answer(request, {"id": ident, "offset": len(upload["data"]), "done": False})

    async def _part(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        upload = self.uploads[request.path_params["id"]]
        if int(request.headers["upload-offset"]) != len(upload["data"]):
            return self._answer(request, {"error": {"code": "OffsetMismatch", "message": "elsewhere"}}, 409)
        upload["data"] += await request.body()
        return self._answer(request, {}, **{"Upload-Offset": str(len(upload["data"]))})

    async def _finish(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        ident = request.path_params["id"]
        upload = self.uploads.pop(ident, None)
        if upload is not None:
            assert self.keep(upload["data"]) == upload["digest"]
        assert f"sha256:{ident}" in self.blobs, "finished again is as good as once, as the server has it"
        return self._answer(request, {})

    async def _journal(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        results: dict[str, Any] = {}
        refused: dict[str, Any] = {}
        said: dict[str, int] = {}
        body = await request.body()
        if self.spoiled and self.spoiled in body:
            return self._answer(request, {"error": {"code": "BadRequest", "message": "unreadable"}}, 422)
        for entry in json.loads(body)["entries"]:
            stream, key = f"{entry['uid']}/{entry['attempt']}", f"{entry['uid']}/{entry['attempt']}/{entry['seq']}"
            if entry["uid"] in self.unknown:
                continue
            if entry["seq"] > self.acknowledged.get(stream, 0):
                self.acknowledged[stream] = entry["seq"]
                if error := self.refuse(entry):
                    refused[key] = error
                else:
                    self._replay(entry, key, results)
            said[stream] = self.acknowledged[stream]
        if lost := self.fault(request):
            return lost
        return self._answer(request, {"acknowledged": said, "results": results, "refused": refused})

    def _replay(self, entry: dict[str, Any], key: str, results: dict[str, Any]) -> None:
        item = entry["item"]
        self.entries.append(entry)
        if item["kind"] == "mlflow" and item["path"].endswith("runs/create"):
            body = json.loads(base64.b64decode(item["body"]))
            run = hashlib.md5(item["provisional"].encode()).hexdigest()
            results[key] = {"run": self.make_run(run, body.get("run_name", "made"))}
        if item.get("blob"):
            assert item["blob"] in self.blobs, "bytes come before the call that needs them"

    def make_run(self, run: str, name: str = "run") -> dict[str, Any]:
        uri = f"mlflow-artifacts:/1/{run}/artifacts"
        info = {"run_id": run, "run_uuid": run, "experiment_id": "1", "run_name": name, "status": "RUNNING"}
        self.runs[run] = {"info": {**info, "artifact_uri": uri, "lifecycle_stage": "active"}, "data": {}}
        return self.runs[run]

    async def _mlflow(self, request: Request) -> Response:
        if wrong := self._first(request):
            return wrong
        path = request.path_params["path"]
        self.calls.append((request.method, path))
        if path.endswith("runs/get"):
            run = self.runs.get(request.query_params["run_id"])
            return self._answer(request, {"run": run} if run else {"error_code": "x"}, 200 if run else 404)
        if "/experiments/get" in path:
            ident = request.query_params.get("experiment_id", "1")
            found = {"experiment_id": ident, "name": f"experiment {ident}"}
            return self._answer(request, {"experiment": found})
        if path.endswith("logged-models"):
            return self._answer(request, {"model": {"info": {"model_id": "m-" + "b" * 32}}})
        return self._answer(request, {"echo": path, "body": (await request.body()).decode()})
