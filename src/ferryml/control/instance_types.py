"""Instance types of a site as people look at them, and those that its nodes suggest."""

from __future__ import annotations

from ferryml.control.compute_views import types
from ferryml.control.context import Caller, Deps, allow
from ferryml.control.ports import Json
from ferryml.control.rows import need
from ferryml.control.sites import ONLINE
from ferryml.domain.instance_fit import suggest, summary
from ferryml.domain.placement import Place
from ferryml.domain.spec.instance_type import InstanceType


def of_site(deps: Deps, caller: Caller, name: str) -> Json:
    """`items`: what the site offers; `suggestions`: custom resources to apply, made for the nodes that it has."""
    allow(caller, "site.read", "")
    with deps.store.read() as tx:
        row = need(tx, "site", "", name)
    place = Place(
        compute="", site=name, zone=row.spec["zone"], backend=row.status.get("backend", "local"),
        inventory=row.status.get("inventory") or {}, online=row.phase == ONLINE,
    )  # fmt: skip
    items = [{"name": key, **dict(value)} for key, value in sorted(types(place).items())]
    return {"site": name, "items": items, "suggestions": [_resource(kind) for kind in suggest(place.nodes)]}


def _resource(kind: InstanceType) -> Json:
    spec = {"description": summary(kind), **kind.spec.manifest()}
    return {"apiVersion": "ferryml.dev/v1alpha1", "kind": "InstanceType", "metadata": {"name": kind.name}, "spec": spec}
