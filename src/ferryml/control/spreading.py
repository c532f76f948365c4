"""Carries out one step on one compute of an endpoint that is on several; doing a step twice changes nothing."""

from __future__ import annotations

from functools import partial
from typing import Any, assert_never, cast

from ferryml.control import computes, deployments, endpoints
from ferryml.control.context import Caller, Deps, Turn, changed
from ferryml.control.endpoint_reports import forget
from ferryml.control.ports import Json, Row
from ferryml.control.rows import parsed
from ferryml.control.spread import Look
from ferryml.domain.access import Role
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.placement import Place
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.spec.endpoint import OnlineEndpoint
from ferryml.domain.spread import Add, Deploy, Drop, Remove, Share, Step


def member_name(endpoint: str, compute: str) -> str:
    """Name of the row of what is on one compute; no endpoint of people's can have it."""
    return f"{endpoint}@{compute}"


def add(deps: Deps, now: Turn, caller: Caller, row: Row, place: Place) -> Row:
    """Begin to be on a place, with the endpoint's keys or with new ones."""
    spec = parsed(OnlineEndpoint, {**row.spec, "compute": place.compute, "traffic": {}, "mirror_traffic": {}})
    shared: endpoints.Keys = {str(key): row.status[key] for key in ("keys", "key_hashes") if key in row.status}
    named = Row(
        kind="endpoint", workspace=row.workspace, name=member_name(row.name, place.compute), parent=row.name
    )  # fmt: skip
    return endpoints.insert(deps, now, caller, named, spec, place, shared or endpoints.new_keys(deps, spec))


def take(deps: Deps, seen: Look, compute: str, step: Step) -> int:
    """Carry out the step; 1 when something changed. Raises Conflict while something is under way there."""
    caller, workspace = caller_of(seen.row), seen.row.workspace
    member = seen.members.get(compute)
    match step:
        case Add():
            return changed(deps, partial(_add, deps, caller, seen.row, compute))
        case Remove():
            return changed(deps, partial(_remove, seen.row, compute))
        case Deploy(deployment=name):
            return _deploy(deps, caller, seen, compute, name)
        case Share(traffic=traffic, mirror=mirror) if member is not None:
            shares = {"traffic": dict(traffic), "mirror_traffic": dict(mirror)}
            endpoints.update(deps, caller, workspace, member.name, shares)
        case Drop(deployment=name) if member is not None:
            deployments.delete(deps, caller, workspace, member.name, name)
        case Share() | Drop():
            return 0
        case _:
            assert_never(step)
    return 1


def kept(caller: Caller) -> dict[str, Json]:
    """Who asked last: in whose name what is still to be done is done."""
    return {"name": caller.name, "role": caller.role, "workspace": caller.workspace}


def caller_of(row: Row) -> Caller:
    """In whose name the steps are done: whoever asked last."""
    told = row.status["caller"]
    return Caller(str(told["name"]), cast(Role, told["role"]), str(told["workspace"]))


def _add(deps: Deps, caller: Caller, row: Row, compute: str, now: Turn) -> int:
    current = now.tx.get("endpoint", row.workspace, row.name)
    if current is None or current.etag != row.etag:
        return 0
    add(deps, now, caller, current, computes.place_of(now.tx, row.workspace, compute))
    return 1


def _remove(row: Row, compute: str, now: Turn) -> int:
    member = now.tx.get("endpoint", row.workspace, member_name(row.name, compute))
    if member is None:
        return 0
    if now.tx.get("site", "", str(member.status["site"])) is None:
        # nobody is left who could say that it is gone
        forget(now, member)
    else:
        endpoints.remove(now, member)
        now.event(row.workspace, "endpoint.removed", f"endpoint:{row.name}", {"compute": compute})
    return 1


def _deploy(deps: Deps, caller: Caller, seen: Look, compute: str, name: str) -> int:
    asked, member = seen.deployments[name], seen.members[compute]
    spec, version = parsed(OnlineDeployment, asked.spec), int(asked.status["version"])
    try:
        deployments.bring(deps, caller, seen.row.workspace, member.name, spec, version)
    except Conflict:
        raise
    except Refused as error:
        told = {"version": version, "reason": error.message, "code": error.code}
        changed(deps, partial(_refused, asked, compute, told))
    return 1


def _refused(asked: Row, compute: str, told: dict[str, Json], now: Turn) -> None:
    row = now.tx.get("deployment", asked.workspace, asked.name)
    if row is not None and row.status.get("version") == told["version"]:
        refused: dict[str, Any] = {**(row.status.get("refused") or {}), compute: told}
        now.tx.update(row.model_copy(update={"status": {**row.status, "refused": refused}}))
        details = {"compute": compute, "reason": told["reason"], "code": told["code"]}
        now.event(row.workspace, "deployment.failed", f"deployment:{row.name}", details)
