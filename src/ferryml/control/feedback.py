"""Labels for answered requests: sent to the site, which joins them with what it predicted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.report_hooks import Apply
from ferryml.control.serving_wishes import called, need_endpoint, parts_of
from ferryml.domain.errors import Refused
from ferryml.domain.link import Report
from ferryml.domain.orders import FeedbackOrder
from ferryml.domain.statuses import FeedbackStatus

Labels = tuple[tuple[str, str], ...]
"""(request id, label as JSON)."""
MAX_LABELS = 10_000
MAX_LABEL_CHARS = 1000
_REQUEST = re.compile(r"[a-z0-9]{10}-[0-9a-f]{16}")


def give(deps: Deps, caller: Caller, workspace: str, endpoint: str, labels: Sequence[Mapping[str, Any]]) -> Json:
    """Send labels `{request_id, label}` on their way: `{id, labels}`. Giving the same again changes nothing."""
    allow(caller, "endpoint.write" if caller.role != "scorer" else "endpoint.score", workspace)
    given = _labels(labels)

    def work(now: Turn) -> list[Json]:
        parent = need_endpoint(now.tx, workspace, endpoint)
        now.tx.audit(caller.name, workspace, "endpoint.feedback", f"endpoint:{endpoint}", {"labels": len(given)})
        return [_send(deps, now, caller, part, theirs) for part, theirs in _sorted(now.tx, parent, given)]

    sent = changed(deps, work)
    return {"id": sent[0]["id"], "labels": len(given), **({"sent": sent} if len(sent) > 1 else {})}


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


def _send(deps: Deps, now: Turn, caller: Caller, part: Row, labels: Labels) -> Json:
    name, site = deps.dice.id(20), str(part.status["site"])
    order = FeedbackOrder(workspace=part.workspace, endpoint=called(part), labels=labels)
    status = {"site": site, "workspace": part.workspace, "labels": len(labels)}
    now.tx.insert(
        Row(kind="feedback", name=name, parent=called(part), status=status, phase="Sent", created_by=caller.name)
    )
    now.tx.put_wish(site, f"feedback.{name}", order.model_dump(mode="json"))
    now.wake(f"site:{site}")
    return {"id": name, "labels": len(labels), "compute": part.spec["compute"]}


def _sorted(tx: Tx, endpoint: Row, labels: Labels) -> list[tuple[Row, Labels]]:
    """Each label goes where its request was answered, which the revision in its id tells; unknown ones to the first."""
    parts = parts_of(tx, endpoint)
    if not parts:
        raise Refused("BadReference", f"endpoint {endpoint.name} is on no compute now", "Look with show.")
    if len(parts) == 1:
        return [(parts[0], labels)]
    names = {request.partition("-")[0] for request, _ in labels}
    homes: dict[str, str] = {}
    for name in names:
        found = tx.get("revision", endpoint.workspace, name)
        homes[name] = found.parent.partition("/")[0] if found else ""
    theirs: dict[str, list[tuple[str, str]]] = {part.name: [] for part in parts}
    for request, label in labels:
        home = homes[request.partition("-")[0]]
        theirs[home if home in theirs else parts[0].name].append((request, label))
    return [(part, tuple(theirs[part.name])) for part in parts if theirs[part.name]]


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
