"""What a site's word about an endpoint changes: figures, and the end of the operation that is under way."""

from __future__ import annotations

from typing import Any

from ferryml.control import report_hooks
from ferryml.control.context import Deps, Turn
from ferryml.control.ports import Json, Row
from ferryml.control.report_hooks import Apply
from ferryml.control.serving_wishes import (
    DELETING,
    DROPPED,
    FAILED,
    PREVIOUS,
    SERVING,
    SUCCEEDED,
    UPDATING,
    deployment_key,
    deployments_of,
    endpoint_at,
    revisions_of,
    send,
    with_generation,
)
from ferryml.domain.errors import Refused
from ferryml.domain.link import Report
from ferryml.domain.statuses import EndpointStatus, RevisionStatus, RolloutStatus
from ferryml.domain.uids import split_uid

DONE = {"create": "created", "update": "updated", "delete": "updated", "scale": "scaled", "traffic": "updated"}
"""Kind of an operation -> what the event says."""
ENDED = ("promoted", "rolled_back", "failed")
TOO_OLD = "AgentTooOld"
KEPT_ROLLOUTS = 10
"""Ends of rollouts that an endpoint remembers, for whoever asks after the next one began."""


def hook(deps: Deps, site: str, report: Report) -> Apply:
    """Take up one report of an endpoint."""
    status = report.status
    assert isinstance(status, EndpointStatus)  # noqa: S101  hooks are chosen by kind

    def apply(now: Turn) -> None:
        row = _row(now, site, report.uid)
        if row is None or row.status.get("site") != site or row.phase == DELETING:
            return
        row = _told_of_age(now, _seen(now, row, report, status), status)
        _finish(deps, now, row, report, status)
        now.wake(f"endpoint:{report.uid}", "loops")

    return apply


def gone(deps: Deps, site: str, report: Report) -> Apply:
    """A tombstone was carried out: of an endpoint, a batch of labels or a job."""
    drop = report_hooks.gone(deps, site, report)

    def apply(now: Turn) -> None:
        row = _row(now, site, report.uid)
        if row is not None and row.phase == DELETING and row.status.get("site") == site:
            forget(now, row)
        if report.uid.startswith("feedback."):
            now.tx.delete("feedback", "", split_uid(report.uid)[2])
        drop(now)

    return apply


def forget(now: Turn, endpoint: Row) -> None:
    """Nothing is left of it on its site."""
    for deployment in deployments_of(now.tx, endpoint):
        bury(now, deployment)
    now.tx.delete("endpoint", endpoint.workspace, endpoint.name)
    now.event(endpoint.workspace, "endpoint.deleted", f"endpoint:{endpoint.name}")
    now.wake("loops")


def bury(now: Turn, deployment: Row) -> None:
    """The deployment is no more; its revisions stay as history, so that old predictions can be traced."""
    for one in revisions_of(now.tx, deployment, ()):
        phase = one.phase if one.phase == FAILED else DROPPED
        now.tx.update(one.model_copy(update={"phase": phase, "archived": True}))
    now.tx.delete("deployment", deployment.workspace, deployment.name)


def close(deps: Deps, now: Turn, endpoint: Row, status: RolloutStatus, seen: RevisionStatus | None) -> Row:
    """The rollout has ended on the site: settle deployment and revisions, and send the wish without it."""
    order: dict[str, Any] = endpoint.status["rollout"]
    operation: dict[str, Any] = endpoint.status.get("operation") or {}
    deployment = now.tx.get("deployment", endpoint.workspace, deployment_key(endpoint.name, order["deployment"]))
    spec, after = endpoint.spec, None
    if deployment is not None:
        if status.state == "promoted":
            moves = bool(operation.get("all_traffic"))
            _promote(now, deployment, order, UPDATING if moves else SUCCEEDED)
            if moves:
                spec = {**spec, "traffic": {order["deployment"]: 100}}
                # not done before the site's router sends it requests
                after = {"kind": "traffic", "deployment": order["deployment"], "since": now.tx.now().isoformat()}
        else:
            _reject(now, deployment, order, status, seen)
    ended = {**status.model_dump(mode="json"), "revision": order["candidate"]}
    earlier = {name: told for name, told in (endpoint.status.get("rollouts") or {}).items() if name != status.rollout}
    left = {
        **endpoint.status, "rollouts": dict([*earlier.items(), (status.rollout, ended)][-KEPT_ROLLOUTS:]),
        "rollout": None, "operation": after, "rollout_status": status.model_dump(mode="json"),
    }  # fmt: skip
    row = now.tx.update(endpoint.model_copy(update={"status": left, "spec": spec}))
    details: dict[str, Json] = {
        "deployment": order["deployment"], "revision": order["candidate"], "state": status.state,
        "reason": status.reason,
    }  # fmt: skip
    now.event(row.workspace, f"deployment.{status.state}", f"endpoint:{row.name}", details)
    generation = send(deps, now, row)
    return with_generation(now, row, generation) if after else row


def _row(now: Turn, site: str, uid: str) -> Row | None:
    try:
        kind, workspace, name = split_uid(uid)
    except Refused:
        return None
    return endpoint_at(now.tx, site, workspace, name) if kind == "endpoint" else None


def _seen(now: Turn, row: Row, report: Report, status: EndpointStatus) -> Row:
    seen = status.model_dump(mode="json", exclude={"kind", "rollout"})
    seen |= {"at": report.at.isoformat(), "generation": report.generation}
    kept = {**row.status, "seen": seen, "scoring_uri": status.scoring_uri or row.status.get("scoring_uri", "")}
    order = row.status.get("rollout")
    if status.rollout is not None and order and status.rollout.rollout == order["rollout"]:
        kept["rollout_status"] = status.rollout.model_dump(mode="json")
    return now.tx.update(row.model_copy(update={"status": kept}))


def _told_of_age(now: Turn, row: Row, status: EndpointStatus) -> Row:
    """An agent too old for what is asked says so: endpoint and deployment show it as long as that is what they wait
    for, and no longer."""
    operation: dict[str, Any] = row.status.get("operation") or {}
    old = status.code == TOO_OLD
    if old and operation:
        named = deployment_key(row.name, str(operation.get("deployment") or ""))
        found = [one for one in deployments_of(now.tx, row) if one.name == named]
        words = {"reason": status.reason, "code": TOO_OLD}
    elif not old and row.status.get("code") == TOO_OLD and row.phase != FAILED:
        found = [one for one in deployments_of(now.tx, row) if one.status.get("code") == TOO_OLD]
        words = {"reason": "", "code": ""}
    else:
        return row
    for one in found:
        if not words.items() <= one.status.items():
            now.tx.update(one.model_copy(update={"status": {**one.status, **words}}))
    return now.tx.update(row.model_copy(update={"status": {**row.status, **words}}))


def _finish(deps: Deps, now: Turn, row: Row, report: Report, status: EndpointStatus) -> None:
    order, operation = row.status.get("rollout"), row.status.get("operation") or {}
    rollout = status.rollout
    if order:
        if rollout is not None and rollout.rollout == order["rollout"] and rollout.state in ENDED:
            mine = next((one for one in status.revisions if one.revision == order["candidate"]), None)
            close(deps, now, row, rollout, mine)
        return
    if not operation or report.generation < int(operation.get("generation", 0)):
        return
    if operation["kind"] == "scale" and not _scaled(now, row, operation, status):
        return
    if operation["kind"] == "traffic":
        _settle(now, row, operation)
    if operation["kind"] == "delete":
        gone_ = now.tx.get("deployment", row.workspace, deployment_key(row.name, str(operation["deployment"])))
        if gone_ is not None:
            bury(now, gone_)
            now.event(row.workspace, "deployment.deleted", f"deployment:{gone_.name}")
    kept = {**row.status, "operation": None, "reason": "", "code": ""}
    phase = SUCCEEDED if row.phase != FAILED or operation["kind"] in ("create", "update") else row.phase
    now.tx.update(row.model_copy(update={"status": kept, "phase": phase}))
    now.event(row.workspace, f"endpoint.{DONE[operation['kind']]}", f"endpoint:{row.name}")


def _scaled(now: Turn, row: Row, operation: dict[str, Any], status: EndpointStatus) -> bool:
    seen = next((one for one in status.revisions if one.revision == operation["revision"]), None)
    if seen is None or seen.ready < seen.wanted:
        return False
    _settle(now, row, operation)
    return True


def _settle(now: Turn, row: Row, operation: dict[str, Any]) -> None:
    deployment = now.tx.get("deployment", row.workspace, deployment_key(row.name, operation["deployment"]))
    if deployment is not None:
        now.tx.update(deployment.model_copy(update={"phase": SUCCEEDED}))


def _promote(now: Turn, deployment: Row, order: dict[str, Any], phase: str) -> None:
    keep_s = float(order.get("keep_previous_s") or 0)
    for one in revisions_of(now.tx, deployment):
        if one.name == order["candidate"]:
            now.tx.update(one.model_copy(update={"phase": SERVING}))
        elif one.name == order["champion"] and keep_s > 0:
            until = now.tx.now().timestamp() + keep_s
            kept = {**one.status, "retire_at": until}
            now.tx.update(one.model_copy(update={"phase": PREVIOUS, "status": kept}))
        else:
            now.tx.update(one.model_copy(update={"phase": DROPPED}))
    told = {"serving": order["candidate"], "candidate": "", "reason": "", "code": "", "traceback": ""}
    status = {**deployment.status, **told}
    now.tx.update(deployment.model_copy(update={"phase": phase, "status": status}))


def _reject(
    now: Turn, deployment: Row, order: dict[str, Any], rollout: RolloutStatus, seen: RevisionStatus | None
) -> None:
    code = (seen.code if seen else "") or ("RolledBack" if rollout.state == "rolled_back" else "ResourceNotReady")
    told = {"reason": rollout.reason, "code": code, "traceback": seen.traceback if seen else ""}
    for one in revisions_of(now.tx, deployment):
        if one.name == order["candidate"]:
            now.tx.update(one.model_copy(update={"phase": FAILED, "status": {**one.status, **told}}))
    status = {**deployment.status, **told, "candidate": "", "failed": order["candidate"]}
    # the spec says what serves: a revision that failed leaves no trace in it
    serving = now.tx.get("revision", deployment.workspace, str(deployment.status.get("serving") or "none"))
    spec = serving.status["document"] if serving else deployment.spec
    now.tx.update(deployment.model_copy(update={"phase": FAILED, "status": status, "spec": spec}))
