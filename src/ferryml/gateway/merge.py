"""Makes one call of many: a loop that logs a metric a thousand times should not cost the server a thousand calls."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ferryml.domain.link import MlflowCall
from ferryml.gateway.journal import Pending

MOST = {"metrics": 1000, "params": 100, "tags": 100}
"""MLflow's own limits on one batch."""
_BATCH, _METRIC, _PARAM = "runs/log-batch", "runs/log-metric", "runs/log-parameter"


@dataclass(frozen=True, slots=True)
class Group:
    """What is sent as one entry, under the last seq of its parts."""

    sent: Pending
    parts: tuple[Pending, ...]


def grouped(entries: Sequence[Pending]) -> list[Group]:
    """Neighbouring metrics, params and tags of one run become one `log-batch`; everything else stays as it is.

    Order is kept. Saying a part again, after a lost answer, changes nothing: the same metric, param or tag is one.
    """
    groups: list[Group] = []
    open_parts: list[Pending] = []
    batch: dict[str, Any] = {}

    def close() -> None:
        if open_parts:
            groups.append(_closed(open_parts, batch))
        open_parts.clear()

    for pending in entries:
        found = _batch_of(pending)
        if found is None:
            close()
            groups.append(Group(pending, (pending,)))
        elif open_parts and _fits(batch, found):
            for name in MOST:
                batch[name] += found[name]
            open_parts.append(pending)
        else:
            close()
            batch = found
            open_parts.append(pending)
    close()
    return groups


def _batch_of(pending: Pending) -> dict[str, Any] | None:
    """The call as the body of a `log-batch`, or None when it must go by itself."""
    item = pending.entry.item
    if not isinstance(item, MlflowCall) or item.method != "POST" or item.blob or item.provisional or pending.alone:
        return None
    route = item.path.partition("/mlflow/")[2]
    if route not in (_BATCH, _METRIC, _PARAM) or not item.path.startswith("api/2.0/"):
        return None
    try:
        body = json.loads(base64.b64decode(item.body))
    except ValueError:
        return None
    run = body.get("run_id")
    if not isinstance(run, str) or body.get("model_id") or body.get("dataset_name"):
        return None
    if route == _METRIC:
        metric = {name: body[name] for name in ("key", "value", "timestamp", "step") if name in body}
        return {"run_id": run, "metrics": [metric], "params": [], "tags": []}
    if route == _PARAM:
        return {
            "run_id": run,
            "metrics": [],
            "params": [{"key": body.get("key"), "value": body.get("value")}],
            "tags": [],
        }
    return {"run_id": run, **{name: list(body.get(name) or []) for name in MOST}}


def _fits(batch: dict[str, Any], more: dict[str, Any]) -> bool:
    if batch["run_id"] != more["run_id"]:
        return False
    if any(len(batch[name]) + len(more[name]) > most for name, most in MOST.items()):
        return False
    keys = {param["key"] for param in batch["params"]}
    return not any(param["key"] in keys for param in more["params"])


def _closed(parts: Sequence[Pending], batch: dict[str, Any]) -> Group:
    last = parts[-1]
    if len(parts) == 1:
        return Group(last, (last,))
    tags = {tag["key"]: tag for tag in batch["tags"]}
    full = {**batch, "tags": list(tags.values())}
    body = {"run_id": full["run_id"], **{name: full[name] for name in MOST if full[name]}}
    call = MlflowCall(
        method="POST",
        path=f"api/2.0/mlflow/{_BATCH}",
        content_type="application/json",
        body=base64.b64encode(json.dumps(body).encode()).decode(),
    )
    entry = last.entry.model_copy(update={"item": call})
    return Group(Pending(entry, last.workspace, ()), tuple(parts))
