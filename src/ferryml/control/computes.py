"""Computes: sites attached to a workspace, checked before they are said to be good."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from ferryml.control import site_looks
from ferryml.control.compute_views import as_place, troubles, view
from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import missing, need, need_workspace, parsed
from ferryml.domain.aliases import resolve_compute
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.placement import Place
from ferryml.domain.spec.compute import Compute, KubernetesCompute, LocalCompute
from ferryml.domain.spec.workspace import Workspace

LIVE_JOBS = (
    "NotStarted", "Starting", "Preparing", "Provisioning", "Queued", "Running", "Finalizing", "CancelRequested",
)  # fmt: skip
_ID = re.compile(r"/(?:managedClusters|connectedClusters)/([^/]+)/?$", re.IGNORECASE)
FIXED = ("name", "type", "site", "resource_id", "namespace")
"""What cannot change after attach: work that runs there would be lost."""
SETTLE_S, AGAIN_S = 40.0, 2.0
"""How long, and how often, a site is looked at before a program that does not answer there is held against it."""
SETTLES = ("GatewayDown", "SiteUnhealthy")
"""Findings that go by themselves where programs have just been started."""


def attach(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """Attach a site; work that an earlier compute of this name left there is adopted.

    Raises Refused when there is no such site, it is of another kind, its doctor found something that keeps work from
    running, or the namespace is missing and may not be made; Conflict when the name still has work somewhere else.
    """
    allow(caller, "compute.write", workspace)
    spec: KubernetesCompute | LocalCompute = parsed(Compute, document)  # type: ignore[arg-type]
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        site = _site(tx, spec)
    if isinstance(spec, KubernetesCompute):
        _judge(deps, workspace, spec, site)
    with turn(deps) as now:
        site = _site(now.tx, spec)
        _no_work_elsewhere(now.tx, workspace, spec, site)
        row = Row(
            kind="compute", workspace=workspace, name=spec.name, spec=spec.model_dump(mode="json"),
            status={"site": site.name}, created_by=caller.name,
        )  # fmt: skip
        row = now.tx.insert(row)
        now.record(caller, workspace, "compute.attach", f"compute:{spec.name}", {"site": site.name})
    if isinstance(spec, KubernetesCompute):
        site_looks.ask(deps, site.name)
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
    """Change description, tags, location, identity or create_namespace; anything else is refused with the reason."""
    allow(caller, "compute.write", workspace)

    def work(now: Turn) -> tuple[Row, Row | None]:
        row = need(now.tx, "compute", workspace, name)
        for field in FIXED:
            if field in changes and changes[field] != row.spec.get(field):
                raise Refused(
                    "NotSupported", f"{field} of a compute cannot change, for what runs there would be lost",
                    f"Attach another compute, or detach {name} and attach it anew.",
                )  # fmt: skip
        spec: KubernetesCompute | LocalCompute = parsed(Compute, {**row.spec, **changes})  # type: ignore[arg-type]
        row = now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json")}))
        now.record(caller, workspace, "compute.update", f"compute:{name}", {"fields": sorted(changes)})
        return row, now.tx.get("site", "", row.status["site"])

    return view(*changed(deps, work))


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
        error = missing("compute", workspace, name)
        error.hint += f" `ferry alias set -n {name} --to COMPUTE` lets documents of elsewhere run as they are."
        raise error
    return as_place(row, need(tx, "site", "", row.status["site"]))


def _judge(deps: Deps, workspace: str, spec: KubernetesCompute, site: Row) -> None:
    """Look at the site as it is now; raises Refused for what would keep work from running.

    Programs of a site that has just been installed need a moment to find each other: that moment is waited for. So is
    an answer that is late.
    """
    row = Row(kind="compute", workspace=workspace, name=spec.name, spec=spec.model_dump(mode="json"))
    wish = site_looks.wanted(workspace, row.spec)
    until = time.monotonic() + SETTLE_S
    while True:
        question = site_looks.ask(deps, site.name, extra=(wish,))
        heard = site_looks.answered(deps, site.name, question)
        with deps.store.read() as tx:
            found = troubles(as_place(row, need(tx, "site", "", site.name)))
        if not found:
            return
        lasting = [each for each in found if each.get("code") not in SETTLES]
        if not question or (heard and lasting) or time.monotonic() >= until or deps.stopping.wait(AGAIN_S):
            break
    each = (lasting or found)[0]
    code, cause = str(each.get("code") or "SiteUnhealthy"), str(each.get("cause"))
    raise Refused(
        "NamespaceMissing" if code == "NamespaceMissing" else "SiteUnhealthy",
        cause if code == "NamespaceMissing" else f"site {site.name} is not fit for work: {code}: {cause}",
        str(each.get("fix") or f"See `ferry site doctor {site.name}`."), {"finding": dict(each)},
    )  # fmt: skip


def _no_work_elsewhere(tx: Tx, workspace: str, spec: KubernetesCompute | LocalCompute, site: Row) -> None:
    """An earlier compute of this name may have left work: it is adopted where it is, and nowhere else."""
    namespace = spec.namespace if isinstance(spec, KubernetesCompute) else "default"
    for row in live_work(tx, workspace, spec.name):
        order = row.status.get("order") or {}
        there, where = str(row.status.get("site") or site.name), str(order.get("namespace") or namespace)
        if (there, where) != (site.name, namespace):
            raise Conflict(
                "InUse",
                f"{row.kind} {row.name} of an earlier compute {spec.name} is still on site {there}, namespace {where}",
                "Attach it there again, take another name, or end that work first.",
            )


def live_work(tx: Tx, workspace: str, compute: str, limit: int = 1000) -> list[Row]:
    """Jobs that have not ended and endpoints that serve on a compute."""
    phases = (*LIVE_JOBS, "NotResponding")
    jobs = tx.find("job", workspace=workspace, phases=phases, label=("compute", compute), limit=limit)
    served = [row for row in tx.find("endpoint", workspace=workspace) if row.spec.get("compute") == compute]
    return [*jobs, *served]


def places(tx: Tx, workspace: str) -> list[Place]:
    """Every compute of the workspace whose site exists."""
    sites = {row.name: row for row in tx.find("site")}
    rows = tx.find("compute", workspace=workspace)
    return [as_place(row, sites[row.status["site"]]) for row in rows if row.status["site"] in sites]


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
