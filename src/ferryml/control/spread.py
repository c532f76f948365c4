"""Endpoints on several computes: the rows behind one, read together, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferryml.control import deployments
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import identity, shown
from ferryml.control.serving_wishes import DELETING, deployments_of, described, parts_of, short
from ferryml.control.sites import ONLINE
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.spread import (
    DeploymentSeen,
    MemberSeen,
    Told,
    Wanted,
    deployment_state,
    lacks,
    overall,
    site_state,
)

MOVING = ("running", "holding", "undoing")
"""Phases of a rollout that has not ended."""


@dataclass(frozen=True, slots=True)
class Look:
    """One moment of an endpoint on several computes.

    Args:
        deployments: name -> what was asked; those being deleted are not among them.
        members: compute -> what is there; a compute that was taken off the list is among them until it is gone.
        rollout: name of the one under way; empty: none.
    """

    row: Row
    deployments: Mapping[str, Row]
    members: Mapping[str, Row]
    wanted: Mapping[str, Wanted | None]
    seen: Mapping[str, MemberSeen | None]
    theirs: Mapping[str, Mapping[str, Row]]
    """compute -> name -> row of the deployment there."""
    rollout: str
    leaving: bool
    """Whether a deployment is being deleted."""

    @property
    def told(self) -> dict[str, Told]:
        """compute -> how it is there."""
        return {compute: site_state(self.wanted[compute], self.seen[compute]) for compute in self.wanted}


def look(tx: Tx, row: Row) -> Look:
    """All of it."""
    members = {str(one.spec["compute"]): one for one in parts_of(tx, row)}
    mine = deployments_of(tx, row)
    asked = {short(one): one for one in mine if one.phase != DELETING}
    theirs = {compute: {short(one): one for one in deployments_of(tx, member)} for compute, member in members.items()}
    listed = () if row.phase == DELETING else tuple(row.spec["compute"])
    wanted = Wanted(
        deployments={name: int(one.status["version"]) for name, one in asked.items()},
        traffic=row.spec.get("traffic") or {}, mirror=row.spec.get("mirror_traffic") or {},
    )  # fmt: skip
    computes = dict.fromkeys((*listed, *members))
    return Look(
        row=row, deployments=asked, members=members, theirs=theirs,
        wanted={compute: wanted if compute in listed else None for compute in computes},
        seen={
            compute: _seen(tx, members[compute], theirs[compute], asked) if compute in members else None
            for compute in computes
        },
        rollout=_rollout(tx, row, members), leaving=len(mine) > len(asked),
    )  # fmt: skip


def free(seen: Look) -> None:
    """Raise Conflict `OperationInProgress` while something is under way where a site answers.

    What waits for a site that is offline is in nobody's way: it gets what is newest when it returns.
    """
    name = seen.row.name
    if seen.row.phase == DELETING:
        raise Conflict("OperationInProgress", f"endpoint {name} is being deleted", "Wait for it to end.")
    if seen.rollout:
        raise Conflict(
            "OperationInProgress", f"rollout {seen.rollout} is under way on endpoint {name}",
            "Wait for it to end; a rollout can be promoted or rolled back.",
        )  # fmt: skip
    for compute, one in seen.seen.items():
        if one is not None and not one.offline and lacks(seen.wanted[compute], one):
            operation: dict[str, Any] = seen.members[compute].status.get("operation") or {}
            raise Conflict(
                "OperationInProgress",
                f"an operation on endpoint {name} is under way on compute {compute}"
                + (f": {described(operation)}" if operation else ""),
                "Wait for it to end.",
            )


def refuse_one_folder(spec: OnlineDeployment, computes: Sequence[str]) -> None:
    """Raise Refused `NotSupported` for records of several sites in one folder, where they would replace each other."""
    written = spec.data_collector.collections if spec.data_collector else {}
    for name, one in written.items():
        if len(computes) > 1 and one.enabled and one.data is not None and one.data.path:
            raise Refused(
                "NotSupported",
                f"collection {name!r} names a path, where {', '.join(computes)} would write over each other",
                "Leave data.path out: the records of each compute are then a data asset of its own.",
            )


def view(tx: Tx, row: Row) -> Json:
    """The endpoint as `az ml` shows it, with each compute below `ferry.sites`."""
    seen = look(tx, row)
    told = seen.told
    all_of_it = overall(told, row.phase == DELETING)
    sites = {compute: _site(seen, compute, told[compute]) for compute in told}
    first = reachable(sites)
    uri = sites[first]["scoring_uri"] if first else None
    ours = {
        "reason": all_of_it.reason, "code": _code(sites, all_of_it), "sites": sites, "rollout": seen.rollout or None,
        "waiting_for": sorted(compute for compute, one in told.items() if one.waits) if all_of_it.waits else [],
    }  # fmt: skip
    return shown(
        row, ours, provisioning_state=all_of_it.state, scoring_uri=uri, openapi_uri=openapi(uri),
        kind="Local" if str(uri).startswith("http://127.") else "K8S",
    )  # fmt: skip


def deployment_view(tx: Tx, row: Row, deployment: Row) -> Json:
    """A deployment as `az ml` shows it, with each compute below `ferry.sites`."""
    seen, name = look(tx, row), short(deployment)
    told = {compute: _asked_there(seen, compute, name) for compute in seen.wanted}
    all_of_it = overall(told, deployment.phase == DELETING or row.phase == DELETING)
    sites: dict[str, Any] = {}
    for compute, one in told.items():
        mine, ours = seen.theirs.get(compute, {}).get(name), {}
        if mine is not None:
            ours = deployments.view(tx, seen.members[compute], mine)["ferry"]
        kept = {key: ours.get(key) for key in ("site", "serving", "candidate", "revisions", "instances", "notes")}
        refused = (deployment.status.get("refused") or {}).get(compute) or {}
        failure = {key: refused.get(key) or ours.get(key, "") for key in ("code", "traceback")}
        sites[compute] = {**kept, **failure, **_count(seen, compute, name), **_words(one)}
    notes = list(dict.fromkeys(note for one in sites.values() for note in one["notes"] or ()))
    failed = next((one for one in sites.values() if one["code"]), {"code": "", "traceback": ""})
    ours = {
        "reason": all_of_it.reason, "code": failed["code"], "traceback": failed["traceback"], "notes": notes,
        "sites": sites,
        "waiting_for": sorted(compute for compute, one in told.items() if one.waits) if all_of_it.waits else [],
    }  # fmt: skip
    share = (row.spec.get("traffic") or {}).get(name, 0)
    made = shown(deployment, ours, endpoint_name=row.name, traffic=share, provisioning_state=all_of_it.state)
    return {**made, "name": name, "id": identity(deployment.model_copy(update={"name": name}))}


def reachable(sites: Mapping[str, Mapping[str, Any]]) -> str:
    """The first compute of the spec where predictions can be asked for now; else the first that has an address."""
    addressed = [compute for compute, one in sites.items() if one["scoring_uri"]]
    return next((compute for compute in addressed if sites[compute]["reachable"]), addressed[0] if addressed else "")


def openapi(uri: str | None) -> str | None:
    """Where the description of a scoring address is."""
    return re.sub(r"/score$", "/swagger.json", uri or "") or None


def _site(seen: Look, compute: str, told: Told) -> dict[str, Json]:
    member, one = seen.members.get(compute), seen.seen[compute]
    status = member.status if member else {}
    states = {name: deployment_state(name, seen.wanted[compute], one) for name in seen.deployments}
    there = {
        name: {**_words(state), **_count(seen, compute, name), "serving": _serving(seen, compute, name)}
        for name, state in states.items()
    }
    return {
        "site": status.get("site", ""), "namespace": status.get("namespace", ""), **_words(told),
        "code": status.get("code", ""), "scoring_uri": status.get("scoring_uri") or None,
        "reachable": one is not None and not one.offline, "deployments": there,
        "weights": (status.get("seen") or {}).get("weights", {}), "operation": status.get("operation"),
        "rollout": status.get("rollout_status"), "seen_at": (status.get("seen") or {}).get("at"),
    }  # fmt: skip


def _asked_there(seen: Look, compute: str, name: str) -> Told:
    """The deployment's state on a compute; it is not done before it is asked as the traffic says."""
    told, one = deployment_state(name, seen.wanted[compute], seen.seen[compute]), seen.seen[compute]
    share = (seen.row.spec.get("traffic") or {}).get(name, 0)
    mark = name in seen.deployments and seen.deployments[name].status.get("all_traffic")
    if told.state != "Succeeded" or one is None or not (mark or share):
        return told
    operation: dict[str, Any] = seen.members[compute].status.get("operation") or {}
    if not mark and one.traffic.get(name, 0) == share and operation.get("kind") != "update":
        return told
    return Told("Updating", "waits for its site, which is offline" if one.offline else "gets its traffic", one.offline)


def _words(told: Told) -> dict[str, Json]:
    return {"provisioning_state": told.state, "reason": told.reason, "waits": told.waits}


def _serving(seen: Look, compute: str, name: str) -> str:
    mine = seen.theirs.get(compute, {}).get(name)
    return str(mine.status.get("serving") or "") if mine else ""


def _count(seen: Look, compute: str, name: str) -> dict[str, Json]:
    """Instances of what serves, or of what is on its way where nothing does."""
    member, mine = seen.members.get(compute), seen.theirs.get(compute, {}).get(name)
    revision = (mine.status.get("serving") or mine.status.get("candidate")) if mine else ""
    found = ((member.status.get("seen") or {}).get("revisions") or []) if member else []
    one = next((each for each in found if each["revision"] == revision), {"ready": 0, "wanted": 0})
    return {"ready": one["ready"], "desired": one["wanted"]}


def _code(sites: Mapping[str, Mapping[str, Any]], told: Told) -> str:
    return next((one["code"] for one in sites.values() if one["code"]), "") if told.state == "Failed" else ""


def _seen(tx: Tx, member: Row, theirs: Mapping[str, Row], asked: Mapping[str, Row]) -> MemberSeen:
    compute = str(member.spec["compute"])
    made = {name: _deployment(row) for name, row in theirs.items()}
    for name, row in asked.items():
        refused = (row.status.get("refused") or {}).get(compute)
        if refused and refused["version"] == row.status["version"]:
            before = made.get(name, DeploymentSeen())
            made[name] = DeploymentSeen(int(refused["version"]), "Failed", before.serves, str(refused["reason"]))
    return MemberSeen(
        state=member.phase, busy=bool(member.status.get("operation")),
        offline=not _is_there(tx, member), reason=str(member.status.get("reason") or ""),
        traffic=member.spec.get("traffic") or {}, mirror=member.spec.get("mirror_traffic") or {}, deployments=made,
    )  # fmt: skip


def _deployment(row: Row) -> DeploymentSeen:
    status = row.status
    reason = str(status.get("reason") or status.get("behind") or "")
    return DeploymentSeen(int(status.get("version") or 0), row.phase, bool(status.get("serving")), reason)


def _rollout(tx: Tx, row: Row, members: Mapping[str, Row]) -> str:
    """The rollout under way; one that is only to be taken back where nobody answers now holds nothing up."""
    found = tx.find("rollout", workspace=row.workspace, phases=MOVING, archived="any")
    away = {one.name for one in members.values() if not _is_there(tx, one)}
    mine = [
        one.name
        for one in found
        if row.name in (one.status.get("spread") or ()) and (one.phase != "undoing" or set(one.status["undo"]) - away)
    ]
    return mine[0] if mine else ""


def _is_there(tx: Tx, member: Row) -> bool:
    site = tx.get("site", "", str(member.status["site"]))
    return site is not None and site.phase == ONLINE
