"""The MLflow door: a job's writes are taken at once and kept; its other calls go to the server in their order."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx

from ferryml.domain.errors import FerryError, Forbidden, Unavailable
from ferryml.domain.finite import refuse_constant
from ferryml.domain.link import Grant, MlflowCall
from ferryml.domain.orders import Json
from ferryml.domain.residency import mlflow_matters
from ferryml.gateway.database import Database
from ferryml.gateway.forwarder import Forwarder
from ferryml.gateway.grants import stays
from ferryml.gateway.journal import Caller, Journal
from ferryml.gateway.runs import Runs
from ferryml.gateway.store import SiteStore
from ferryml.gateway.uplink import Uplink

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
PROVISIONAL_TAG = "ferry.provisional"
INLINE_BYTES = 256 * 1024
CACHED_BYTES = 1 << 20
WRITES = frozenset(
    f"runs/{name}"
    for name in (
        "log-metric", "log-batch", "log-parameter", "set-tag", "delete-tag", "update", "log-inputs", "log-model",
        "outputs",
    )
)  # fmt: skip
QUESTIONS = frozenset(
    {"runs/search", "experiments/search", "logged-models/search", "registered-models/get-latest-versions"}
)
"""POST routes that only read."""
EXPERIMENTS = ("experiments/get", "experiments/get-by-name")
_OWNED = re.compile(r"/mlflow-artifacts/artifacts/(?:[^/]+/){1,5}(?P<owner>[0-9a-f]{32}|m-[0-9a-f]{32})/artifacts/")
_API = re.compile(r"^(?:ajax-)?api/\d\.\d/mlflow/")


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of a job. `path` is quoted, below /mlflow/; a large body is a blob of the site store."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = b""
    blob: str = ""

    @property
    def route(self) -> str:
        """`runs/log-batch` of `api/2.0/mlflow/runs/log-batch`; the whole path for everything else."""
        return _API.sub("", self.path)

    @property
    def whole(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """One of `body`, `file`, `stream` is what the job gets."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    file: Path | None = None
    stream: Iterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)


class MlflowDoor:
    """Runs in worker threads; blocks at most `patience_s` when the link is down and the call needs the server."""

    def __init__(
        self, db: Database, journal: Journal, runs: Runs, store: SiteStore, uplink: Uplink, forwarder: Forwarder,
        patience_s: float = 50,
    ) -> None:  # fmt: skip
        self._db, self._journal, self._runs, self._store = db, journal, runs, store
        self._uplink, self._forwarder, self._patience = uplink, forwarder, patience_s
        self.new_run_id: Callable[[], str] = lambda: ""

    def answer(self, caller: Caller, grant: Grant, ask: Ask) -> Answer:
        """What MLflow's own server would say, or an error in its shape."""
        try:
            return self._answer(caller, grant, ask)
        except FerryError as error:
            return refusal(error)

    def _answer(self, caller: Caller, grant: Grant, ask: Ask) -> Answer:
        if "mlflow" not in grant.writes:
            raise Forbidden("BadGrant", "this work has no MLflow run")
        if grant.mlflow_run_id and not self._runs.known(caller.uid, grant.mlflow_run_id):
            self._runs.add(caller.uid, grant.mlflow_run_id)
        body = _object(ask.body) if ask.method == "POST" else {}
        run = str(body.get("run_id") or body.get("run_uuid") or "")
        if ask.method == "POST" and ask.route in WRITES and self._runs.known(caller.uid, run):
            return self._write(caller, grant, ask, run, body)
        if ask.method == "POST" and ask.route == "runs/create" and body:
            return self._create(caller, grant, ask, body)
        owner = _OWNED.search(ask.path)
        if ask.method == "PUT" and owner and self._runs.known(caller.uid, owner["owner"]):
            self._keep(caller, grant, self._call(ask), ask)
            return _json({})
        if ask.method == "GET" and ask.route in ("runs/get", "metrics/get-history"):
            return self._own(caller, grant, ask)
        return self._pass(caller, grant, ask)

    # writes

    def _write(self, caller: Caller, grant: Grant, ask: Ask, run: str, body: dict[str, Any]) -> Answer:
        params = {"runs/log-batch": body.get("params") or [], "runs/log-parameter": [body]}.get(ask.route, [])
        for param in params:
            known = self._runs.param(caller.uid, run, str(param.get("key")))
            if known is not None and known != str(param.get("value")):
                return _changed_param(run, str(param.get("key")), known)
        with self._db.transaction():
            for part in _parts(ask, body):
                self._keep(caller, grant, self._call(ask, part), ask)
            self._runs.note(caller.uid, run, ask.route, body)
        if ask.route != "runs/update":
            return _json({})
        view = self._runs.view(caller.uid, run)
        least = {"run_id": run, "run_uuid": run, "experiment_id": "0", "status": body.get("status", "RUNNING")}
        return _json({"run_info": view["info"] if view else least})

    def _keep(self, caller: Caller, grant: Grant, call: MlflowCall, ask: Ask) -> None:
        held = any(stays(grant, matter) for matter in mlflow_matters(call))
        blobs = (call.blob,) if call.blob else ()
        with self._db.transaction():
            self._journal.append(caller.uid, caller.attempt, call, blobs, held)
            if call.blob:
                self._db.run("REPLACE INTO artifacts VALUES (?, ?, ?)", caller.uid, unquote(ask.path), call.blob)

    def _call(self, ask: Ask, body: bytes | None = None) -> MlflowCall:
        data, blob = ask.body if body is None else body, ask.blob
        if not blob and (len(data) > INLINE_BYTES or ask.method == "PUT"):
            blob, _ = self._store.put([data])
        return MlflowCall(
            method=ask.method,
            path=ask.whole,
            content_type=ask.content_type,
            body="" if blob else base64.b64encode(data).decode(),
            blob=blob,
        )

    def _create(self, caller: Caller, grant: Grant, ask: Ask, body: dict[str, Any]) -> Answer:
        """A child run: made through the journal, so that a lost answer never makes two of it."""
        provisional = self.new_run_id()
        tags = [*(body.get("tags") or []), {"key": PROVISIONAL_TAG, "value": provisional}]
        data = json.dumps({**body, "tags": tags}).encode()
        call = self._call(ask, data).model_copy(update={"provisional": provisional})
        with self._db.transaction():
            self._runs.add(caller.uid, provisional, self._imagined(caller.uid, grant.mlflow_run_id, provisional, body))
            self._journal.append(caller.uid, caller.attempt, call)
        self._forwarder.drained(caller.uid, caller.attempt, min(10.0, self._patience))
        view = self._runs.view(caller.uid, provisional)
        return _json({"run": view or {}})

    def _imagined(self, uid: str, own: str, run: str, body: dict[str, Any]) -> Json:
        """The run as the server will make it, as far as the site can know."""
        base = self._runs.base(uid, own).get("info") or {}
        experiment = str(body.get("experiment_id") or base.get("experiment_id") or "0")
        root = str(base.get("artifact_uri") or f"mlflow-artifacts:/{experiment}/{own}/artifacts")
        uri = root.replace(f"/{base.get('experiment_id', experiment)}/", f"/{experiment}/", 1).replace(own, run)
        return {
            "info": {
                "run_id": run,
                "run_uuid": run,
                "experiment_id": experiment,
                "run_name": body.get("run_name") or f"run-{run[:8]}",
                "user_id": body.get("user_id", ""),
                "status": "RUNNING",
                "start_time": body.get("start_time", 0),
                "artifact_uri": uri,
                "lifecycle_stage": "active",
            },
            "data": {"metrics": [], "params": [], "tags": body.get("tags") or []},
        }

    def created(self, uid: str, call: MlflowCall, result: Json) -> None:
        """The server has replayed a `runs/create`: from now on the run has its real id."""
        run = result.get("run") if isinstance(result, dict) else None
        real = str(((run or {}).get("info") or {}).get("run_id") or (result or {}).get("run_id") or "")
        if real:
            self._runs.made(uid, call.provisional, real, run)

    # reads and everything else

    def _own(self, caller: Caller, grant: Grant, ask: Ask) -> Answer:
        """Reads of the job's own run: from the server when it has all that was written, else from here."""
        query = parse_qs(ask.query)
        run = next(iter(query.get("run_id", query.get("run_uuid", []))), "")
        if not self._runs.known(caller.uid, run):
            return self._pass(caller, grant, ask)
        held = bool(grant.zones) and (stays(grant, "metrics") or stays(grant, "params"))
        if not held and self._forwarder.up and self._forwarder.drained(caller.uid, caller.attempt, 5):
            try:
                return self._once(caller, ask)
            except Unavailable:
                self._forwarder.heard(False)
        view = self._runs.view(caller.uid, run)
        if view is None:
            return self._pass(caller, grant, ask)
        if ask.route == "metrics/get-history":
            return _json({"metrics": self._runs.history(caller.uid, run, query.get("metric_key", [""])[0])})
        return _json({"run": view})

    def _pass(self, caller: Caller, grant: Grant, ask: Ask) -> Answer:
        """To the server, after all that this attempt wrote before; waits for the link for as long as clients do."""
        self._check_leaves(grant, ask)
        until, pause = time.monotonic() + self._patience, FIRST_PAUSE_S
        while True:
            if self._forwarder.up:
                left = until - time.monotonic()
                try:
                    if self._forwarder.drained(caller.uid, caller.attempt, max(0.0, left)):
                        return self._once(caller, ask)
                except Unavailable:
                    self._forwarder.heard(False)
            local = self._local(caller, ask)
            if local is not None:
                return local
            if pause == FIRST_PAUSE_S:
                log.info("%s: %s %s waits for the link", caller.uid, ask.method, ask.path)
            if time.monotonic() + pause > until:
                raise Unavailable("ServerUnreachable", "this MLflow call needs the server, and the link is down")
            time.sleep(pause)
            pause = min(2.0, pause * 2)

    def _check_leaves(self, grant: Grant, ask: Ask) -> None:
        if not grant.zones or ask.method in ("GET", "HEAD") or ask.route in QUESTIONS:
            return
        call = MlflowCall(method=ask.method, path=ask.path, body=base64.b64encode(ask.body).decode())
        for matter in sorted(mlflow_matters(call)):
            if stays(grant, matter):
                raise Forbidden(
                    "ResidencyViolation",
                    f"{matter} of this work are bound to {', '.join(grant.zones)} and not released",
                    "Write them to an output: it stays in the site store.",
                )

    def _once(self, caller: Caller, ask: Ask) -> Answer:
        path, body = ask.whole, ask.body
        for provisional, real in self._runs.renamed(caller.uid).items():
            path, body = path.replace(provisional, real), body.replace(provisional.encode(), real.encode())
        headers = {"X-Ferry-Grant": caller.grant, "Accept-Encoding": "identity"}
        if ask.content_type:
            headers["Content-Type"] = ask.content_type
        large = ask.method == "GET" and "/mlflow-artifacts/artifacts/" in ask.path
        said = self._uplink.mlflow(ask.method, path, body, headers, stream=large)
        self._forwarder.heard(True)
        kind = said.headers.get("Content-Type", "application/json")
        if large:
            length = {"Content-Length": said.headers["Content-Length"]} if "Content-Length" in said.headers else {}
            return Answer(said.status_code, content_type=kind, stream=_closing(said), headers=length)
        if said.status_code in (502, 504):
            raise Unavailable("ServerUnreachable", f"the way to the server answered {said.status_code}")
        self._learn(caller, ask, said.status_code, kind, said.content)
        return Answer(said.status_code, said.content, kind)

    def _learn(self, caller: Caller, ask: Ask, status: int, kind: str, body: bytes) -> None:
        """Remembers what may be asked again while the link is down, and what this job may write from now on."""
        if status != 200:
            return
        if ask.route in EXPERIMENTS:
            self._runs.add_experiment(caller.uid, _object(body).get("experiment") or {})
        elif ask.method == "GET" and len(body) <= CACHED_BYTES:
            self._db.run("REPLACE INTO answers VALUES (?, ?, ?, ?)", caller.uid, ask.whole, kind, body)
        if ask.method == "POST" and ask.route == "logged-models":
            model = ((_object(body).get("model") or {}).get("info") or {}).get("model_id")
            if model:
                self._runs.add(caller.uid, str(model))
        if ask.route == "runs/get":
            run = _object(body).get("run") or {}
            self._runs.add(caller.uid, str((run.get("info") or {}).get("run_id")), run)

    def _local(self, caller: Caller, ask: Ask) -> Answer | None:
        """An earlier answer, or a file that this job wrote itself."""
        if ask.method != "GET":
            return None
        if ask.route in EXPERIMENTS:
            found = self._runs.experiment(caller.uid, ask.query)
            return None if found is None else _json({"experiment": found})
        row = self._db.row("SELECT kind, body FROM answers WHERE uid = ? AND question = ?", caller.uid, ask.whole)
        if row is not None:
            return Answer(200, bytes(row[1] or b""), str(row[0]))  # type: ignore[arg-type]
        sql = "SELECT digest FROM artifacts WHERE uid = ? AND path = ?"
        row = self._db.row(sql, caller.uid, unquote(ask.path))
        if row is None or not self._store.has(str(row[0])):
            return None
        return Answer(200, content_type="application/octet-stream", file=self._store.path(str(row[0])))

    def fetch_bases(self) -> None:
        """Reads the runs of new jobs while the link is up, for the time when it is not. Raises Unavailable."""
        for uid, run in self._runs.unread():
            row = self._db.row("SELECT MAX(attempt) FROM streams WHERE uid = ?", uid)
            if row is None or not isinstance(row[0], int):
                continue
            caller = self._journal.stream(uid, row[0])
            said = self._once(caller, Ask("GET", "api/2.0/mlflow/runs/get", f"run_id={run}"))
            if said.status != 200:
                self._runs.add(uid, run, {"info": {"run_id": run, "run_uuid": run, "experiment_id": "0"}})
                continue
            # The client asks for its experiment before each child run.
            experiment = (self._runs.base(uid, run).get("info") or {}).get("experiment_id", "0")
            self._once(caller, Ask("GET", "api/2.0/mlflow/experiments/get", f"experiment_id={experiment}"))


def refusal(error: FerryError) -> Answer:
    """Our errors in MLflow's shape."""
    code = {403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE"}
    body = {
        "error_code": code.get(error.status, "INVALID_PARAMETER_VALUE"),
        "message": f"{error.message} {error.hint}".strip(),
        "error": error.as_dict(),
    }
    return Answer(error.status, json.dumps(body).encode())


def _parts(ask: Ask, body: dict[str, Any]) -> list[bytes | None]:
    """A batch of several matters as one call each, so that what is released can leave while the rest stays."""
    if ask.route != "runs/log-batch":
        return [None]
    groups = [("metrics",), ("params", "tags")]
    held = [{name: body[name] for name in group if body.get(name)} for group in groups]
    rest = {name: value for name, value in body.items() if name not in ("metrics", "params", "tags")}
    full = [part for part in held if part]
    return [None] if len(full) < 2 else [json.dumps({**rest, **part}).encode() for part in full]


def _changed_param(run: str, key: str, old: str) -> Answer:
    words = f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}'"
    body = {"error_code": "INVALID_PARAMETER_VALUE", "message": f"{words} for run ID='{run}'."}
    return Answer(400, json.dumps(body).encode())


def _json(value: Json) -> Answer:
    return Answer(200, json.dumps(value).encode())


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data, parse_constant=refuse_constant)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _closing(said: httpx.Response) -> Iterator[bytes]:
    try:
        yield from said.iter_bytes(1 << 20)
    finally:
        said.close()
