"""How a compute is shown: its state, what keeps it from working, its instance types and what its nodes have free."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ferryml.control.ports import Json, Row
from ferryml.control.rows import shown
from ferryml.control.sites import ONLINE, PENDING
from ferryml.domain.explain.places import NodeView
from ferryml.domain.instance_fit import fits, summary
from ferryml.domain.placement import DEFAULT_TYPE, Place

AMOUNTS = ("cpu", "memory", "ephemeral-storage")


def as_place(compute: Row, site: Row) -> Place:
    """What placement needs to know of a compute and its site."""
    seen = site.status.get("last_seen")
    return Place(
        compute=compute.name, site=site.name, zone=site.spec["zone"], backend=site.status.get("backend", "local"),
        namespace=compute.spec.get("namespace") or "default", inventory=site.status.get("inventory") or {},
        online=site.phase == ONLINE, last_seen=datetime.fromisoformat(seen) if seen else None,
        workspace=compute.workspace,
    )  # fmt: skip


def view(row: Row, site: Row | None) -> Json:
    """A compute as it is shown; Succeeded only once its site has joined and work can run there."""
    if site is None:
        return shown(row, provisioning_state="Failed", provisioning_errors=[f"site {row.status['site']} is gone"])
    place = as_place(row, site)
    wrong = troubles(place) if site.phase != PENDING else ()
    state = "Failed" if wrong else "Creating" if site.phase == PENDING or _unmade(row, place) else "Succeeded"
    ours: dict[str, Json] = {"site": site.name, "zone": place.zone, "backend": place.backend, "site_state": site.phase}
    if place.backend == "kubernetes":
        ours |= {"warnings": _warnings(place)}
    else:
        ours |= {"inventory": dict(place.inventory)}
    return shown(
        row, ours, site=site.name, provisioning_state=state, provisioning_errors=[_said(each) for each in wrong],
        instance_types=types(place), **({"capacity": capacity(place.nodes)} if place.backend == "kubernetes" else {}),
    )  # fmt: skip


def troubles(place: Place) -> tuple[Json, ...]:
    """Findings that keep work from running on it: of the doctor, of its namespace, or that there is no namespace."""
    if place.backend != "kubernetes" or "namespaces" not in place.inventory:
        return ()
    found = [*(place.inventory.get("doctor") or ()), *namespace_findings(place)]
    return tuple(each for each in found if isinstance(each, Mapping) and each.get("level") == "failed")


def namespace_findings(place: Place) -> tuple[Json, ...]:
    """What the site found in the compute's namespace; that it is missing, where it is."""
    known = place.inventory.get("namespace_findings") or {}
    found = tuple(known.get(place.namespace) or ())
    if place.namespace in (place.inventory.get("namespaces") or ()) or found:
        return found
    return (missing_namespace(place),)


def missing_namespace(place: Place) -> Json:
    """There is no such namespace on the site, with the command that makes it."""
    name, everywhere = place.namespace, place.inventory.get("cluster_wide")
    make = f"kubectl create namespace {name}"
    if place.inventory.get("create_namespaces"):
        fix = f"{make}, or attach with --create-namespace."
    elif everywhere:
        fix = f"{make}."
    else:
        fix = f"{make}, and add {name} to `namespaces` of the site's chart: helm upgrade ... --reuse-values."
    cause = (
        f"there is no namespace {name} on site {place.site}"
        if everywhere
        else f"namespace {name} is missing on site {place.site}, or is not one that Ferry may use there"
    )
    have = ", ".join(place.inventory.get("namespaces") or ()) or "none"
    return {
        "code": "NamespaceMissing", "level": "failed", "cause": cause, "evidence": f"usable namespaces: {have}",
        "fix": fix, "check": "namespace.missing",
    }  # fmt: skip


def types(place: Place) -> dict[str, Json]:
    """Instance types by name: as the cluster has them, with what fits and what would start now."""
    if place.backend != "kubernetes":
        told = place.inventory.get("instance_types") or {}
        return {DEFAULT_TYPE: {}, **(dict(told) if isinstance(told, Mapping) else {str(name): {} for name in told})}
    made: dict[str, Json] = {}
    nodes, tolerations = place.nodes, place.tolerations
    for name, kind in place.types.items():
        ever, now = fits(kind, nodes, tolerations), fits(kind, nodes, tolerations, now=True)
        made[name] = {
            **kind.spec.manifest(), "origin": kind.origin, "summary": summary(kind),
            "fits": ever.ok or not nodes, "starts_now": now.ok and place.online, "why": "" if ever.ok else ever.why,
        }  # fmt: skip
    return made


def capacity(nodes: tuple[NodeView, ...]) -> Json:
    """All nodes together, in base units (cores, bytes, pieces); `free` only where the site counted."""
    keys = list(dict.fromkeys([*AMOUNTS, *(key for node in nodes for key in node.allocatable if "/" in key)]))
    ready = [node for node in nodes if node.ready and not node.cordoned]
    return {
        "nodes": len(nodes), "ready": len(ready),
        "allocatable": {key: round(sum(node.allocatable.get(key, 0.0) for node in ready), 3) for key in keys},
        "free": {
            key: round(sum(node.free.get(key, 0.0) for node in ready), 3)
            for key in keys if any(key in node.free for node in ready)
        },
    }  # fmt: skip


def _unmade(row: Row, place: Place) -> bool:
    """The site has not told what it has yet."""
    return row.spec.get("type") == "kubernetes" and "namespaces" not in place.inventory


def _warnings(place: Place) -> list[str]:
    here = (place.inventory.get("namespace_findings") or {}).get(place.namespace) or ()
    found = [*(place.inventory.get("doctor") or ()), *here]
    return [_said(each) for each in found if isinstance(each, Mapping) and each.get("level") == "warning"]


def _said(finding: Json) -> str:
    return f"{finding.get('code')}: {finding.get('cause')}. {finding.get('fix') or ''}".strip()
