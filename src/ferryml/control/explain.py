"""Why a job is where it is, in words, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from ferryml.control.ports import Json, Row
from ferryml.control.sites import OFFLINE, PENDING
from ferryml.domain.alternatives import Alternative, alternatives
from ferryml.domain.error_catalogue import MEANING
from ferryml.domain.orders import DatastorePath, JobOrder
from ferryml.domain.placement import Ask, Place

WAITING = ("NotStarted", "Queued", "Starting", "Preparing", "Provisioning", "NotResponding")
PLACES = frozenset(
    {"PodUnschedulable", "OutOfQuota", "InvalidInstanceType", "NoCapacity", "GpuPluginMissing", "PodOutOfMemory",
     "NamespaceMissing", "NodeLost", "PodEvicted", "QueueWaiting", "GangWaiting"}
)  # fmt: skip
"""Codes of what another instance type or compute may help against."""
PHASES = {
    "NotStarted": "it was taken and is about to be sent to its site",
    "Queued": "it was sent to its site and waits there",
    "Starting": "its site is bringing code, inputs and environment",
    "Preparing": "its environment is being made",
    "Provisioning": "its machine is being made",
    "Running": "it is running",
    "Finalizing": "its outputs and logs are being received",
    "CancelRequested": "it was asked to end and has not ended yet",
    "Completed": "it ended well, and all outputs and logs were received",
    "NotResponding": "its site has not been heard from; what runs there goes on",
}


def reason(row: Row, site: Row | None) -> str:
    """One or two sentences."""
    said = str(row.status.get("reason") or "")
    if row.phase in (*WAITING, "CancelRequested") and site is None:
        return f"its site {row.status.get('site')} is gone: cancel the job"
    if site is not None and row.phase in (*WAITING, "CancelRequested"):
        if site.phase == PENDING:
            return f"site {site.name} has not joined yet; {said or PHASES.get(row.phase, '')}".rstrip("; ")
        if site.phase == OFFLINE:
            return f"site {site.name} has not been heard from since {site.status.get('last_seen')}; it goes on then"
    return said or PHASES.get(row.phase, "")


def explain(row: Row, site: Row | None, places: Iterable[Place] = ()) -> Json:
    """Reason, findings of the site's explainer, hints, and where it would start now (`places`: the workspace's)."""
    code = str(row.status.get("code") or "")
    hints = [MEANING[code][1]] if code in MEANING else []
    if row.phase in WAITING and site is not None and site.phase in (PENDING, OFFLINE):
        hints.append(f"Start the agent of site {site.name}.")
    if where := kept_where(row):
        hints.append(f"Its logs stay {where}: `ferry gateway logs` reads them there.")
    return {
        "status": row.phase, "reason": reason(row, site), "code": code, "hints": hints,
        "error_lines": row.status.get("error_lines", []), "notes": row.status.get("notes", []),
        "times": row.status.get("times", []), "site": row.status.get("site"),
        "site_state": site.phase if site else "Gone", "findings": row.status.get("findings", []),
        "alternatives": [asdict(each) for each in _alternatives(row, tuple(places))],
    }  # fmt: skip


def kept_where(row: Row) -> str:
    """In words, where the logs of a job stay; empty when they come to the server."""
    residency = row.status.get("residency") or {}
    if residency.get("zones") and "logs" not in residency.get("release", ()):
        return f"in {', '.join(residency['zones'])}"
    return f"on site {row.status.get('site')}" if row.status.get("logs") == "site" else ""


def _alternatives(row: Row, places: tuple[Place, ...]) -> tuple[Alternative, ...]:
    """Only where another place would help: it waits for one, or failed for want of one."""
    order, code = row.status.get("order"), str(row.status.get("code") or "")
    found = {str(each.get("code")) for each in row.status.get("findings") or ()}
    helps = row.phase in WAITING or (row.phase == "Failed" and (code in PLACES or bool(found & PLACES)))
    here = next((place for place in places if place.compute == row.labels.get("compute")), None)
    if not helps or not order or here is None:
        return ()
    asked = JobOrder.model_validate(order)
    bound = {key: here.site for key, each in asked.inputs.items() if each.site_only or _is_here(each.place)}
    ask = Ask(residency=asked.residency, instance_type=asked.instance_type, only_sites=bound)
    return alternatives(ask, here, places)


def _is_here(place: DatastorePath | None) -> bool:
    return place is not None and place.kind in ("local", "nfs", "kubernetes_pvc")
