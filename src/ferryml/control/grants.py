"""Grants: what a site may fetch and write for one order, signed by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ferryml.control.context import Deps
from ferryml.domain.errors import Forbidden
from ferryml.domain.link import Grant
from ferryml.domain.orders import DatastorePath, EndpointOrder, JobOrder, Residency, RevisionOrder, TreeRef
from ferryml.domain.residency import Binding, inherited
from ferryml.domain.uids import uid_of


def signer(deps: Deps, site: str, order: JobOrder | EndpointOrder) -> Callable[[int], str]:
    """Signs the grant of this order for whatever generation its wish gets."""

    def sign(generation: int) -> str:
        return deps.keys.sign_grant(_grant(deps, site, order, generation))

    return sign


def verified(deps: Deps, token: str, site: str) -> Grant:
    """The grant that a gateway shows; raises Forbidden `BadGrant`, or `NotYourSite` when it was made for another."""
    grant = deps.keys.verify_grant(token)
    if grant.iss != deps.keys.server_id:
        raise Forbidden("BadGrant", "the grant was made by another server")
    if grant.site != site:
        raise Forbidden("NotYourSite", f"the grant is for another site than {site}")
    return grant


def residency(grant: Grant) -> Residency:
    """What binds the work of a grant."""
    return Residency(zones=grant.zones, release=grant.release)


def digests(order: JobOrder | EndpointOrder) -> Iterator[str]:
    """Every digest that the order needs."""
    if isinstance(order, JobOrder):
        trees = [order.code, _context(order), *(entry.tree for entry in order.inputs.values())]
    else:
        trees = [tree for revision in order.revisions for tree in (revision.model, revision.code, _context(revision))]
    return iter(sorted({tree.digest for tree in trees if tree is not None}))


def _context(order: JobOrder | RevisionOrder) -> TreeRef | None:
    return order.environment.build.context if order.environment.build is not None else None


def _grant(deps: Deps, site: str, order: JobOrder | EndpointOrder, generation: int) -> Grant:
    bound = order.residency if isinstance(order, JobOrder) else _of_revisions(order)
    common = {
        "iss": deps.keys.server_id, "site": site, "generation": generation, "workspace": order.workspace,
        "kind": order.kind, "name": order.name, "reads": tuple(digests(order)), "zones": bound.zones,
        "release": bound.release,
    }  # fmt: skip
    if isinstance(order, JobOrder):
        uid = uid_of("job", order.workspace, order.name)
        return Grant(uid=uid, writes=("outputs", "logs", "mlflow"), mlflow_run_id=order.mlflow_run_id, **common)
    uid = uid_of("endpoint", order.workspace, order.name)
    return Grant(uid=uid, writes=("captures", "logs"), records=_records(order), models=_models(order), **common)


def _models(order: EndpointOrder) -> dict[str, DatastorePath]:
    return {one.model_source.key: one.model_source.place for one in order.revisions if one.model_source is not None}


def _records(order: EndpointOrder) -> dict[str, DatastorePath]:
    """Of several revisions of a deployment, the one that serves says where its records go."""
    first = sorted(order.revisions, key=lambda one: one.revision == order.serving.get(one.deployment))
    return {
        f"{one.deployment}/{name}": place
        for one in first if one.collect is not None
        for name, place in one.collect.places.items()
    }  # fmt: skip


def _of_revisions(order: EndpointOrder) -> Residency:
    return inherited(Binding(r.revision, r.residency.zones, r.residency.release) for r in order.revisions)
