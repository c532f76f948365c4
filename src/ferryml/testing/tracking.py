"""A tracking server in memory that keeps the contract of the real one (tests/contract/test_tracking.py)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

from ferryml.control.ports import Json, ModelVersion
from ferryml.domain.errors import Conflict, NotFound

API = "api/2.0/mlflow/"
PROVISIONAL = "ferry.provisional"


@dataclass
class Run:
    """One run as it is kept."""

    workspace: str
    job: str
    status: str = "SCHEDULED"
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


class MemoryTracking:
    """`control.ports.Tracking` without MLflow: runs, metrics, params, tags and model versions."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.versions: dict[tuple[str, str, str], ModelVersion] = {}
        self.ours: set[tuple[str, str, str]] = set()
        self.calls: list[tuple[str, str, str]] = []
        self.files: dict[tuple[str, str], bytes] = {}
        self.down = False

    def ensure_workspace(self, workspace: str) -> None:
        """Nothing to make."""

    def create_run(self, workspace: str, experiment: str, job: str, tags: Mapping[str, str]) -> str:
        ident = hashlib.sha256(f"{workspace}\0{job}".encode()).hexdigest()[:32]
        self.runs.setdefault(ident, Run(workspace, job, tags=dict(tags)))
        return ident

    def end_run(self, workspace: str, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        self._run(workspace, run_id).status = status

    def metrics(self, workspace: str, run_id: str) -> dict[str, float]:
        return dict(self._run(workspace, run_id).metrics)

    def params(self, workspace: str, run_id: str) -> dict[str, str]:
        return dict(self._run(workspace, run_id).params)

    def artifacts(self, workspace: str, run_id: str, path: str) -> str:
        self._run(workspace, run_id)
        return f"0/{run_id}/artifacts/{path}".rstrip("/")

    def register_model(self, workspace: str, name: str, version: str, source: str, run_id: str) -> None:
        key = (workspace, name, version)
        known = self.versions.get(key)
        if known is not None and key not in self.ours and known.source != source:
            raise Conflict("AlreadyExists", f"MLflow has another version {version} of model {name}.")
        self.ours.add(key)
        self.versions.setdefault(
            key, ModelVersion(workspace=workspace, name=name, version=version, source=source, run_id=run_id)
        )

    def logged(self, version: ModelVersion) -> None:
        """A client of MLflow registered a model."""
        self.versions[version.workspace, version.name, version.version] = version

    def model_versions(self, workspace: str, since_ms: int) -> list[ModelVersion]:
        return [
            version
            for key, version in self.versions.items()
            if key not in self.ours and key[0] == workspace and version.created_ms >= since_ms
        ]

    def call(
        self, workspace: str, method: str, path: str, content_type: str, body: bytes, job: str = ""
    ) -> tuple[int, bytes]:
        if self.down:
            return 503, b"{}"
        self.calls.append((method, path, job))
        route, _, query = path.lstrip("/").partition("?")
        try:
            return 200, json.dumps(self._do(workspace, method, route.removeprefix(API), query, body, job)).encode()
        except NotFound as error:
            return 404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": error.message}).encode()
        except (KeyError, ValueError):
            return 400, b'{"error_code": "INVALID_PARAMETER_VALUE"}'

    def open_file(self, workspace: str, path: str) -> tuple[int, Iterator[bytes]]:
        data = self.files.get((workspace, path))
        if data is None:
            raise NotFound("NotFound", f"No such artifact: {path}")
        return len(data), iter([data])

    def _do(self, workspace: str, method: str, route: str, query: str, body: bytes, job: str) -> Json:
        asked: dict[str, Any] = json.loads(body) if body else {}
        match route:
            case "runs/create":
                return self._create(workspace, asked, job)
            case "runs/log-metric":
                self._run(workspace, asked["run_id"]).metrics[asked["key"]] = float(asked["value"])
            case "runs/log-parameter":
                self._run(workspace, asked["run_id"]).params[asked["key"]] = str(asked["value"])
            case "runs/get":
                return self._info(workspace, parse_qs(query)["run_id"][0])
            case _:
                raise NotFound("NotFound", f"MLflow has no {method} {route}.")
        return {}

    def _create(self, workspace: str, asked: dict[str, Any], job: str) -> Json:
        tags = {tag["key"]: tag["value"] for tag in asked.get("tags") or []}
        for ident, run in self.runs.items():
            if PROVISIONAL in tags and run.tags.get(PROVISIONAL) == tags[PROVISIONAL] and run.workspace == workspace:
                return self._info(workspace, ident)
        ident = hashlib.sha256(f"{workspace}\0{len(self.runs)}".encode()).hexdigest()[:32]
        self.runs[ident] = Run(workspace, job, "RUNNING", tags)
        return self._info(workspace, ident)

    def _info(self, workspace: str, ident: str) -> Json:
        run = self._run(workspace, ident)
        return {"run": {"info": {"run_id": ident, "status": run.status}}}

    def _run(self, workspace: str, ident: str) -> Run:
        run = self.runs.get(ident)
        if run is None or run.workspace != workspace:
            raise NotFound("NotFound", f"There is no run {ident} in workspace {workspace}.")
        return run
