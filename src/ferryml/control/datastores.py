"""Datastores: named places for data, and what a path on one means to a site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Kind, Row, Tx
from ferryml.control.rows import missing, need, need_workspace, parsed, shown
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.orders import DatastorePath
from ferryml.domain.spec.datastore import Datastore

KEPT: tuple[Kind, ...] = ("data", "model")
OPTIONS = ("account_name", "endpoint", "protocol", "region", "namespace", "claim_name")


def create(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """A new datastore; refused when the site it names does not exist."""
    allow(caller, "datastore.write", workspace)
    spec = parsed(Datastore, document)
    with turn(deps) as now:
        need_workspace(now.tx, workspace)
        _check_site(now.tx, spec)
        row = Row(
            kind="datastore", workspace=workspace, name=spec.name, spec=spec.model_dump(mode="json"),
            created_by=caller.name,
        )  # fmt: skip
        row = now.tx.insert(row)
        now.record(caller, workspace, "datastore.create", f"datastore:{spec.name}")
        return shown(row)


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One datastore."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        return shown(need(tx, "datastore", workspace, name))


def list_datastores(deps: Deps, caller: Caller, workspace: str) -> list[Json]:
    """All datastores of the workspace."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        return [shown(row) for row in tx.find("datastore", workspace=workspace)]


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change fields; zone and site stay, for data on it is bound to them."""
    allow(caller, "datastore.write", workspace)

    def work(now: Turn) -> Row:
        row = need(now.tx, "datastore", workspace, name)
        for field in ("name", "type", "zone", "site", "root"):
            if field in changes and changes[field] != row.spec.get(field):
                raise Refused("NotSupported", f"{field} of a datastore cannot change", "Create another datastore.")
        given = {key: value for key, value in row.spec.items() if value not in ("", None)}
        spec = parsed(Datastore, {**given, **changes})
        now.record(caller, workspace, "datastore.update", f"datastore:{name}", {"fields": sorted(changes)})
        return now.tx.update(row.model_copy(update={"spec": spec.model_dump(mode="json")}))

    return shown(changed(deps, work))


def delete(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Forget the datastore; its data stays where it is. Refused while a data asset or a model is on it."""
    allow(caller, "datastore.write", workspace)
    with turn(deps) as now:
        need(now.tx, "datastore", workspace, name)
        for kind in KEPT:
            if used := now.tx.find(kind, workspace=workspace, label=("datastore", name), limit=1):
                raise Conflict(
                    "InUse", f"{kind} {used[0].name}:{used[0].version} is on datastore {name}", "Archive it first."
                )
        now.tx.delete("datastore", workspace, name)
        now.record(caller, workspace, "datastore.delete", f"datastore:{name}")


def reach(tx: Tx, workspace: str, name: str, path: str) -> tuple[DatastorePath, str, str]:
    """(place, zone it is bound to, only site that reaches it) of a path on a datastore; zone and site may be ""."""
    row = tx.get("datastore", workspace, name)
    if row is None:
        raise missing("datastore", workspace, name)
    spec = Datastore.model_validate({key: value for key, value in row.spec.items() if value not in ("", None)})
    zone = spec.zone or ""
    if not zone and spec.site:
        zone = str(need(tx, "site", "", spec.site).spec["zone"])
    options = {key: str(getattr(spec, key)) for key in OPTIONS if getattr(spec, key)}
    if spec.secret_ref:
        options["secret"] = spec.secret_ref.name
        options |= {f"secret.{what}": key for what, key in spec.secret_ref.keys.items()}
    if spec.type == "kubernetes_pvc" and spec.prefix:
        options["prefix"] = spec.prefix
    place = DatastorePath(datastore=name, kind=spec.type, root=_root(spec), path=path, options=options)
    return place, zone, spec.site or ""


def _root(spec: Datastore) -> str:
    match spec.type:
        case "local":
            return spec.root
        case "nfs":
            return f"{spec.server}:{spec.export}"
        case "s3":
            return f"s3://{spec.bucket}/{spec.prefix}".rstrip("/")
        case "gcs":
            return f"gs://{spec.bucket}/{spec.prefix}".rstrip("/")
        case "kubernetes_pvc":
            return spec.claim_name
        case _:
            return f"az://{spec.container_name or spec.file_share_name or spec.filesystem}"


def _check_site(tx: Tx, spec: Datastore) -> None:
    site = tx.get("site", "", spec.site) if spec.site else None
    if spec.site and site is None:
        raise Refused("BadReference", f"there is no site {spec.site!r}", "See `ferry site list`.")
    if site is not None and spec.zone and spec.zone != site.spec["zone"]:
        raise Refused(
            "BadValue", f"datastore zone {spec.zone} is not the zone {site.spec['zone']} of site {spec.site}",
            "Leave zone out: it is the site's.",
        )  # fmt: skip
