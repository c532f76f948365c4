"""What the site knows of its jobs' MLflow runs, so that their own reads are answered while the link is down."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import parse_qs

from ferryml.domain.orders import Json
from ferryml.gateway.database import Database

_INFO = ("status", "end_time", "run_name")


class Runs:
    """Runs by the uid of the job that may write them; a provisional run is known under both of its ids."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, uid: str, run: str, base: Json = None) -> None:
        """Makes a run (or a logged model) known; `base` is the server's `{info, data}`."""
        text = json.dumps(base or {})
        with self._db.transaction():
            self._db.run("INSERT OR IGNORE INTO runs (uid, run) VALUES (?, ?)", uid, run)
            if base:
                self._db.run("UPDATE runs SET info = ? WHERE uid = ? AND (run = ? OR made = ?)", text, uid, run, run)

    def made(self, uid: str, provisional: str, run: str, base: Json = None) -> None:
        """The server has made the run of a provisional id."""
        with self._db.transaction():
            self._db.run("UPDATE runs SET made = ? WHERE uid = ? AND run = ?", run, uid, provisional)
            self.add(uid, provisional, base)

    def known(self, uid: str, run: str) -> str | None:
        """The id that facts are kept under, or None when the run is not this job's."""
        if not run:
            return None
        row = self._db.row("SELECT run FROM runs WHERE uid = ? AND (run = ? OR made = ?)", uid, run, run)
        return None if row is None else str(row[0])

    def renamed(self, uid: str) -> dict[str, str]:
        """Provisional id -> the server's, as far as it has made them."""
        rows = self._db.rows("SELECT run, made FROM runs WHERE uid = ? AND made != ''", uid)
        return {str(run): str(made) for run, made in rows}

    def unread(self) -> list[tuple[str, str]]:
        """(uid, run) of runs whose base is still to be fetched."""
        rows = self._db.rows("SELECT uid, run FROM runs WHERE info = '{}' AND made = '' AND run NOT LIKE 'm-%'")
        return [(str(uid), str(run)) for uid, run in rows]

    def base(self, uid: str, run: str) -> dict[str, Any]:
        row = self._db.row("SELECT info FROM runs WHERE uid = ? AND (run = ? OR made = ?)", uid, run, run)
        return cast("dict[str, Any]", json.loads(str(row[0]))) if row else {}

    def add_experiment(self, uid: str, experiment: dict[str, Any]) -> None:
        """Remembers what the server said of an experiment."""
        ident = str(experiment.get("experiment_id", ""))
        if ident:
            values = (uid, f"experiment {ident}", "application/json", json.dumps(experiment).encode())
            self._db.run("REPLACE INTO answers VALUES (?, ?, ?, ?)", *values)

    def experiment(self, uid: str, query: str) -> dict[str, Any] | None:
        """The known experiment that a query string asks for, by id or by name."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        sql = "SELECT body FROM answers WHERE uid = ? AND question LIKE 'experiment %'"
        for (body,) in self._db.rows(sql, uid):
            found: dict[str, Any] = json.loads(cast(bytes, body))
            wanted = asked.get("experiment_id", found["experiment_id"]), asked.get("experiment_name", found.get("name"))
            if asked and wanted == (found["experiment_id"], found.get("name")):
                return found
        return None

    def note(self, uid: str, run: str, route: str, body: dict[str, Any]) -> None:
        """Remembers what a journalled write says, as MLflow's tracking server would."""
        kept = self.known(uid, run) or run
        match route:
            case "runs/log-metric":
                self._metrics(uid, kept, [body])
            case "runs/log-batch":
                self._metrics(uid, kept, body.get("metrics") or [])
                self._set(uid, kept, "param", body.get("params") or [])
                self._set(uid, kept, "tag", body.get("tags") or [])
            case "runs/log-parameter":
                self._set(uid, kept, "param", [body])
            case "runs/set-tag":
                self._set(uid, kept, "tag", [body])
            case "runs/delete-tag":
                self._set(uid, kept, "tag", [{"key": body.get("key"), "value": None}])
            case "runs/update":
                said = [{"key": name, "value": body[name]} for name in _INFO if body.get(name) is not None]
                self._set(uid, kept, "info", said)

    def param(self, uid: str, run: str, key: str) -> str | None:
        """The value that was logged for a param, if any."""
        kept = self.known(uid, run) or run
        sql = "SELECT value FROM facts WHERE uid = ? AND run = ? AND kind = 'param' AND name = ?"
        row = self._db.row(sql, uid, kept, key)
        if row is not None:
            return str(json.loads(str(row[0])))
        params = (self.base(uid, run).get("data") or {}).get("params") or []
        return next((str(param["value"]) for param in params if param["key"] == key), None)

    def view(self, uid: str, run: str) -> dict[str, Any] | None:
        """The run as `runs/get` answers it: what the server said last, and what was written since."""
        kept, base = self.known(uid, run), self.base(uid, run)
        if kept is None or not base:
            return None
        data = base.get("data") or {}
        info = {**(base.get("info") or {}), **self._latest(uid, kept, "info")}
        return {
            **base,
            "info": info,
            "data": {
                "metrics": _last_metrics([*(data.get("metrics") or []), *self._facts(uid, kept, "metric")]),
                "params": _pairs(data.get("params") or [], self._latest(uid, kept, "param")),
                "tags": _pairs(data.get("tags") or [], self._latest(uid, kept, "tag")),
            },
        }

    def history(self, uid: str, run: str, key: str) -> list[dict[str, Any]]:
        """All values of a metric that were written through this site, oldest first."""
        kept = self.known(uid, run) or run
        return [metric for metric in self._facts(uid, kept, "metric") if metric["key"] == key]

    def _metrics(self, uid: str, run: str, metrics: Iterable[dict[str, Any]]) -> None:
        fields = ("key", "value", "timestamp", "step")
        kept = [{name: metric.get(name, 0) for name in fields} for metric in metrics if isinstance(metric, dict)]
        rows = [(uid, run, "metric", str(metric["key"]), json.dumps(metric)) for metric in kept]
        self._db.run_many("INSERT INTO facts (uid, run, kind, name, value) VALUES (?, ?, ?, ?, ?)", rows)

    def _set(self, uid: str, run: str, kind: str, pairs: Iterable[dict[str, Any]]) -> None:
        with self._db.transaction():
            for pair in pairs:
                name, value = str(pair.get("key")), json.dumps(pair.get("value"))
                self._db.run(
                    "DELETE FROM facts WHERE uid = ? AND run = ? AND kind = ? AND name = ?", uid, run, kind, name
                )
                sql = "INSERT INTO facts (uid, run, kind, name, value) VALUES (?, ?, ?, ?, ?)"
                self._db.run(sql, uid, run, kind, name, value)

    def _latest(self, uid: str, run: str, kind: str) -> dict[str, Any]:
        sql = "SELECT name, value FROM facts WHERE uid = ? AND run = ? AND kind = ? ORDER BY id"
        return {str(name): json.loads(str(value)) for name, value in self._db.rows(sql, uid, run, kind)}

    def _facts(self, uid: str, run: str, kind: str) -> list[dict[str, Any]]:
        sql = "SELECT value FROM facts WHERE uid = ? AND run = ? AND kind = ? ORDER BY id"
        return [json.loads(str(value)) for (value,) in self._db.rows(sql, uid, run, kind)]


def _last_metrics(metrics: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """MLflow's own rule: the highest step, then the latest timestamp, then the highest value."""
    last: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        key = str(metric["key"])
        if key not in last or _order(metric) >= _order(last[key]):
            last[key] = metric
    return list(last.values())


def _order(metric: dict[str, Any]) -> tuple[int, int, float]:
    return int(metric.get("step") or 0), int(metric.get("timestamp") or 0), _number(metric.get("value"))


def _number(value: Json) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _pairs(base: Iterable[dict[str, Any]], written: dict[str, Any]) -> list[dict[str, Any]]:
    merged = {str(pair["key"]): pair.get("value") for pair in base} | written
    return [{"key": key, "value": value} for key, value in merged.items() if value is not None]
