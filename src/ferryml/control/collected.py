"""What an endpoint recorded of its requests becomes versions of a data asset."""

from __future__ import annotations

from typing import Any

from ferryml.control import assets, datastores, grants
from ferryml.control.collection_orders import is_declared
from ferryml.control.contents import Content
from ferryml.control.context import SYSTEM, Turn
from ferryml.control.ports import Edge, Row
from ferryml.control.serving_wishes import called, deployment_key
from ferryml.domain.collection import asset_name
from ferryml.domain.errors import Refused
from ferryml.domain.link import Grant, OutputRecord
from ferryml.domain.refs import DatastoreRef, parse_ref
from ferryml.domain.residency import of_output
from ferryml.domain.spec.data import Data

FOLDER = "uri_folder"


def keep(now: Turn, site: str, grant: Grant, endpoint: Row, record: OutputRecord) -> str:
    """Register a version: everything that was recorded lately; its node. What is bound stays where it is.

    Raises Refused(BadRequest) for collections that no deployment of the endpoint has.
    """
    deployment, _, collection = record.name.partition("/")
    row = now.tx.get("deployment", endpoint.workspace, deployment_key(endpoint.name, deployment))
    if row is None or not is_declared(row.spec, collection):
        raise Refused("BadRequest", f"endpoint {endpoint.name} has no collection {record.name!r}")
    if not record.bound and not now.tx.blob_places(endpoint.workspace, [record.tree.digest]):
        raise Refused("BlobMissing", f"the files of {record.name} are not on the server")
    written: dict[str, Any] = ((row.spec.get("data_collector") or {}).get("collections") or {}).get(collection) or {}
    data: dict[str, Any] = written.get("data") or {}
    bound = of_output(grants.residency(grant), FOLDER)
    content = Content(
        tree=record.tree, type=FOLDER, zones=bound.zones, release=bound.release if bound.zones else (),
        site=site if record.bound else "", site_only=record.bound,
    )  # fmt: skip
    if record.placed:
        content = _placed(now, endpoint.workspace, content, str(data.get("path") or ""))
    # each compute of several has an asset of its own: its records may be bound to it, and newest means newest there
    where = {"compute": str(endpoint.spec["compute"])} if endpoint.parent else {}
    name = data.get("name") or asset_name(called(endpoint), deployment, collection)
    name = "-".join((name, *where.values()))
    spec = Data(
        name=name, version=_first(now, endpoint.workspace, name, data), type=FOLDER,
        path=str(data["path"]) if record.placed else f"content:tree:{record.tree.digest}:",
        description=f"What deployment {deployment} of endpoint {called(endpoint)} was asked and answered lately",
        tags={"endpoint": called(endpoint), **where, "deployment": deployment, "collection": collection},
    )  # fmt: skip
    made = assets.insert(now, SYSTEM, endpoint.workspace, "data", spec, content)
    node = f"data:{made.name}:{made.version}"
    source = f"deployment:{endpoint.name}/{deployment}:{row.status.get('serving') or ''}"
    now.tx.link(Edge(workspace=endpoint.workspace, source=source, relation="output", target=node))
    return node


def _placed(now: Turn, workspace: str, content: Content, path: str) -> Content:
    """The folder that records are put in: every version of the asset is the same place, which grows."""
    ref = parse_ref(path) if path else None
    if not isinstance(ref, DatastoreRef):
        raise Refused("BadRequest", "the deployment does not name a datastore for this collection any more")
    place, zone, site = datastores.reach(now.tx, workspace, ref.datastore, ref.path)
    zones = content.zones or ((zone,) if zone else ())
    return content.model_copy(update={"tree": None, "place": place, "zones": zones, "site": site, "site_only": False})


def _first(now: Turn, workspace: str, name: str, data: dict[str, Any]) -> str | None:
    """The version that the deployment names, for the first of them; later ones are counted on."""
    asked = data.get("version")
    if not asked or now.tx.get("data", workspace, name, str(asked)) is not None:
        return None
    return None if now.tx.latest("data", workspace, name) is not None else str(asked)
