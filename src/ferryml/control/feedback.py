"""Labels for answered requests: sent to the site, which joins them with what it predicted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Json, Row
from ferryml.control.report_hooks import Apply
from ferryml.control.serving_wishes import need_endpoint
from ferryml.domain.errors import Refused
from ferryml.domain.link import Report
from ferryml.domain.orders import FeedbackOrder
from ferryml.domain.statuses import FeedbackStatus

MAX_LABELS = 10_000
MAX_LABEL_CHARS = 1000
_REQUEST = re.compile(r"[a-z0-9]{10}-[0-9a-f]{16}")


def give(deps: Deps, caller: Caller, workspace: str, endpoint: str, labels: Sequence[Mapping[str, Any]]) -> Json:
    """Send labels `{request_id, label}` on their way: `{id, labels}`. Giving the same again changes nothing."""
    allow(caller, "endpoint.write" if caller.role != "scorer" else "endpoint.score", workspace)
    order = FeedbackOrder(workspace=workspace, endpoint=endpoint, labels=_labels(labels))
    name = deps.dice.id(20)

    def work(now: Turn) -> None:
        parent = need_endpoint(now.tx, workspace, endpoint)
        site = str(parent.status["site"])
        status = {"site": site, "workspace": workspace, "labels": len(order.labels)}
        now.tx.insert(
            Row(kind="feedback", name=name, parent=endpoint, status=status, phase="Sent", created_by=caller.name)
        )
        now.tx.put_wish(site, f"feedback.{name}", order.model_dump(mode="json"))
        now.tx.audit(caller.name, workspace, "endpoint.feedback", f"endpoint:{endpoint}", {"labels": len(order.labels)})
        now.wake(f"site:{site}")

    changed(deps, work)
    return {"id": name, "labels": len(order.labels)}


def hook(deps: Deps, site: str, report: Report) -> Apply:
    """The site has joined a batch: its wish is taken back."""
    status = report.status
    assert isinstance(status, FeedbackStatus)  # noqa: S101  hooks are chosen by kind

    def apply(now: Turn) -> None:
        row = now.tx.get("feedback", "", report.uid.partition(".")[2])
        if row is None or row.status.get("site") != site or row.phase != "Sent":
            return
        told: dict[str, Json] = {"matched": status.matched, "unmatched": status.unmatched}
        now.tx.update(row.model_copy(update={"phase": "Joined", "status": {**row.status, **told}}))
        now.event(str(row.status["workspace"]), "endpoint.feedback", f"endpoint:{row.parent}", told)
        now.tx.put_wish(site, report.uid, None)
        now.wake(f"site:{site}", "loops")

    return apply


def _labels(given: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    if not given:
        raise Refused("MissingField", "there are no labels", 'Send {"labels": [{"request_id": ..., "label": ...}]}.')
    if len(given) > MAX_LABELS:
        raise Refused("LimitExceeded", f"{len(given)} labels are more than {MAX_LABELS}", "Send them in parts.")
    made: list[tuple[str, str]] = []
    for position, one in enumerate(given):
        if not isinstance(one, Mapping) or set(one) != {"request_id", "label"}:
            raise Refused("BadValue", f"labels[{position}] must have request_id and label, and nothing else")
        request = one["request_id"]
        if not isinstance(request, str) or not _REQUEST.fullmatch(request):
            raise Refused(
                "BadValue", f"labels[{position}].request_id is not a request id",
                "It is in the header x-request-id of each answer.",
            )  # fmt: skip
        label = json.dumps(one["label"], ensure_ascii=False)
        if len(label) > MAX_LABEL_CHARS:
            raise Refused("LimitExceeded", f"labels[{position}].label is longer than {MAX_LABEL_CHARS} characters")
        made.append((request, label))
    return tuple(made)
