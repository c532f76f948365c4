"""Computes: sites attached to a workspace, checked before they are said to be good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import missing, need, need_workspace, parsed, shown
from ferryml.control.sites import ONLINE, PENDING
from ferryml.domain.aliases import resolve_compute
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.placement import DEFAULT_TYPE, Place
from ferryml.domain.spec.compute import Compute, KubernetesCompute, LocalCompute
from ferryml.domain.spec.workspace import Workspace

LIVE_JOBS = (
    "NotStarted",
    "Starting",
    "Preparing",
    "Provisioning",
    "Queued",
    "Running",
    "Finalizing",
    "CancelRequested",
)
_ID = re.compile(r"/(?:managedClusters|connectedClusters)/([^/]+)/?$", re.IGNORECASE)
FIXED = ("name", "type", "site", "resource_id", "namespace")
"""What cannot change after attach: work that runs there would be lost."""


def attach(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """Attach a site; refused when there is no such site or it is of another kind."""
    allow(caller, "compute.write", workspace)
    spec: KubernetesCompute | LocalCompute = parsed(Compute, document)  # type: ignore[arg-type]
    with turn(deps) as now:
        need_workspace(now.tx, workspace)
        site = _site(now.tx, spec)
        row = Row(
            kind="compute", workspace=workspace, name=spec.name, spec=spec.model_dump(mode="json"),
            status={"site": site.name}, created_by=caller.name,
        )  # fmt: skip
        row = now.tx.insert(row)
        now.record(caller, workspace, "compute.attach", f"compute:{spec.name}", {"site": site.name})
        return view(row, site)


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One compute with the instance types that its site told of."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "compute", workspace, name)
        return view(row, tx.get("site", "", row.status["site"]))


def list_computes(deps: Deps, caller: Caller, workspace: str) -> list[Json]:
    """All computes of the workspace."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        sites = {row.name: row for row in tx.find("site")}
        return [view(row, sites.get(row.status["site"])) for row in tx.find("compute", workspace=workspace)]


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change description, tags, location or identity; anything else is refused, never silently ignored."""
    allow(caller, "compute.write", workspace)

    def work(now: Turn) -> tuple[Row, Row | None]:
        row = need(now.tx, "compute", workspace, name)
        for field in FIXED:
            if field in changes and changes[field] != row.spec.get(field):
                raise Refused("NotSupported", f"{field} of a compute cannot change", "Detach it and attach it anew.")
        spec: KubernetesCompute | LocalCompute = parsed(Compute, {**row.spec, **changes})  # type: ignore[arg-type]
        row = now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json")}))
        now.record(caller, workspace, "compute.update", f"compute:{name}", {"fields": sorted(changes)})
        return row, now.tx.get("site", "", row.status["site"])

    return view(*changed(deps, work))


def detach(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Forget the compute; refused while jobs run or endpoints serve on it."""
    allow(caller, "compute.write", workspace)
    with turn(deps) as now:
        need(now.tx, "compute", workspace, name)
        jobs = now.tx.find(
            "job", workspace=workspace, phases=(*LIVE_JOBS, "NotResponding"), label=("compute", name), limit=1
        )
        served = [row for row in now.tx.find("endpoint", workspace=workspace) if row.spec.get("compute") == name]
        for row in (*jobs, *served):
            raise Conflict(
                "InUse", f"{row.kind} {row.name} is still on compute {name}", "Cancel or delete it first."
            )  # fmt: skip
        now.tx.delete("compute", workspace, name)
        now.record(caller, workspace, "compute.detach", f"compute:{name}")


def place_of(tx: Tx, workspace: str, wanted: str | None) -> Place:
    """The place that a compute's name stands for, aliases and the workspace's default applied.

    Raises Refused `MissingField` when none is named and the workspace has no default, NotFound `ComputeNotFound`.
    """
    spec = Workspace.model_validate(need_workspace(tx, workspace).spec)
    name = wanted or spec.default_compute
    if not name:
        raise Refused(
            "MissingField",
            "no compute is named and the workspace has no default compute",
            "Write compute: NAME, or ferry workspace update --set default_compute=NAME.",
        )
    row = tx.get("compute", workspace, name) or tx.get("compute", workspace, resolve_compute(name, spec.aliases))
    if row is None:
        raise missing("compute", workspace, name)
    return as_place(row, need(tx, "site", "", row.status["site"]))


def as_place(compute: Row, site: Row) -> Place:
    """What placement needs to know of a compute and its site."""
    seen = site.status.get("last_seen")
    return Place(
        compute=compute.name, site=site.name, zone=site.spec["zone"], backend=site.status.get("backend", "local"),
        namespace=compute.spec.get("namespace") or "default", inventory=site.status.get("inventory", {}), online=site.phase == ONLINE,
        last_seen=datetime.fromisoformat(seen) if seen else None,
    )  # fmt: skip


def view(row: Row, site: Row | None) -> Json:
    """A compute as it is shown; Succeeded only once its site has joined."""
    if site is None:
        return shown(row, provisioning_state="Failed", provisioning_errors=[f"site {row.status['site']} is gone"])
    place = as_place(row, site)
    types = place.inventory.get("instance_types") or {}
    named = dict(types) if isinstance(types, Mapping) else {str(name): {} for name in types}
    ours = {"site": site.name, "zone": place.zone, "backend": place.backend, "site_state": site.phase}
    return shown(
        row, {**ours, "inventory": dict(place.inventory)}, site=site.name,
        provisioning_state="Creating" if site.phase == PENDING else "Succeeded",
        instance_types={DEFAULT_TYPE: {}, **named},
    )  # fmt: skip


def _site(tx: Tx, spec: KubernetesCompute | LocalCompute) -> Row:
    names = _candidates(spec)
    found = [row for row in (tx.get("site", "", name) for name in names) if row is not None]
    if not found:
        have = ", ".join(row.name for row in tx.find("site")) or "none"
        raise Refused(
            "BadReference",
            f"there is no site {names[0]!r} to attach; joined sites: {have}",
            "Name it with site: NAME; IT makes one with `ferry site create`.",
        )
    site = found[0]
    backend = site.status.get("backend", "")
    if backend and (backend == "kubernetes") != (spec.type == "kubernetes"):
        raise Refused(
            "BadValue", f"site {site.name} is {backend}, the compute says {spec.type}", f"Write type: {backend}."
        )  # fmt: skip
    return site


def _candidates(spec: KubernetesCompute | LocalCompute) -> list[str]:
    if spec.site:
        return [spec.site]
    if isinstance(spec, KubernetesCompute) and spec.resource_id:
        found = _ID.search(spec.resource_id)
        return [found[1].lower() if found else spec.resource_id.removeprefix("site:")]
    return [spec.name, spec.name.lower()]
