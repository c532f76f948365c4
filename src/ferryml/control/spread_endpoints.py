"""What people ask of endpoints: those on several computes are done here, those on one are passed on as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryml.control import computes, credentials, deployment_orders, endpoints, spreading, token_keys
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.endpoints import FIXED, KeyType, fields_of, named, new_keys, new_spec, with_key, with_keys
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need_workspace, parsed
from ferryml.control.serving_wishes import (
    DELETING,
    SPREAD,
    SUCCEEDED,
    deployments_of,
    need_endpoint,
    parts_of,
    send,
    spread,
)
from ferryml.control.spread import Look, free, look, openapi, reachable, refuse_one_folder, view
from ferryml.control.spread_conversion import convert
from ferryml.control.spreading import kept
from ferryml.domain.errors import Refused
from ferryml.domain.placement import Place
from ferryml.domain.spec.deployment import OnlineDeployment
from ferryml.domain.spec.endpoint import OnlineEndpoint

SUMS = (
    "rate", "requests", "direct", "errors", "queued_out", "in_flight", "queued", "mirrored", "mirror_errors",
    "mirror_dropped", "inexact", "mismatches", "disagreements",
)  # fmt: skip
"""Figures that can be added up over computes; latencies cannot."""


def create(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """A new endpoint on the computes that it lists, all of which must be able to take it."""
    if not several(document.get("compute")):
        return endpoints.create(deps, caller, workspace, document)
    allow(caller, "endpoint.write", workspace)
    spec = new_spec(document)
    keys = new_keys(deps, spec) if spec.keys == "shared" else {}

    def work(now: Turn) -> Json:
        places = places_of(now.tx, workspace, tuple(spec.compute or ()))
        if spec.auth_mode == "aml_token":
            token_keys.ensure(deps, now, workspace)
        row = now.tx.insert(
            Row(
                kind="endpoint", workspace=workspace, name=spec.name, phase=SUCCEEDED, created_by=caller.name,
                spec={**spec.model_dump(mode="json"), "compute": [place.compute for place in places]},
                status={**keys, "turn": 0, "caller": kept(caller)}, labels=dict([SPREAD]),
            )
        )  # fmt: skip
        details: dict[str, Json] = {"compute": row.spec["compute"]}
        now.record(caller, workspace, "endpoint.create", f"endpoint:{spec.name}", details)
        for place in places:
            spreading.add(deps, now, caller, row, place)
        return view(now.tx, row)

    return changed(deps, work)


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One endpoint, with a status for each compute where it is on several."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        return any_view(tx, need_endpoint(tx, workspace, name))


def list_endpoints(deps: Deps, caller: Caller, workspace: str) -> list[Json]:
    """All of the workspace."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        return [any_view(tx, row) for row in tx.find("endpoint", workspace=workspace, parent="")]


def any_view(tx: Tx, row: Row) -> Json:
    """An endpoint as it is shown, on however many computes it is."""
    return view(tx, row) if spread(row) else endpoints.view(row)


def scoring(deps: Deps, caller: Caller, workspace: str, name: str, compute: str = "") -> Json:
    """Where predictions are asked: on `compute`, or on the first that can be reached. All that a scorer needs."""
    allow(caller, "endpoint.score", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
        chosen = {str(one.spec["compute"]): one for one in parts_of(tx, row, compute)}
        if not spread(row):
            return endpoints.scoring(deps, caller, workspace, name)
        sites: dict[str, Any] = view(tx, row)["ferry"]["sites"]
    first = reachable({one: told for one, told in sites.items() if one in chosen})
    uri = sites[first]["scoring_uri"] if first else None
    told = {one: {key: sites[one][key] for key in ("scoring_uri", "reachable")} for one in sites}
    return {
        "name": name, "auth_mode": row.spec["auth_mode"], "scoring_uri": uri, "openapi_uri": openapi(uri),
        "compute": first or None, "reachable": bool(first and sites[first]["reachable"]),
        "keys": row.spec.get("keys", "shared"), "sites": told,
    }  # fmt: skip


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change traffic, mirror_traffic, words about it, or on which computes it is."""
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        before = need_endpoint(tx, workspace, name)
        if not spread(before) and not several(changes.get("compute")):
            return endpoints.update(deps, caller, workspace, name, changes)
        new = _asked(tx, before, changes)
        added = places_of(tx, workspace, tuple(one for one in new["compute"] if one not in listed(before)))
        rows = [row for row in deployments_of(tx, before) if row.phase != DELETING]
    for spec in [parsed(OnlineDeployment, row.spec) for row in rows]:
        refuse_one_folder(spec, new["compute"])
        for place in added:
            deployment_orders.resolve(deps, workspace, name, place.compute, spec)

    def work(now: Turn) -> Json:
        row = need_endpoint(now.tx, workspace, name)
        new = _asked(now.tx, row, changes)
        if not spread(row):
            row = convert(now, caller, row)
        places_of(now.tx, workspace, tuple(new["compute"]))
        now.record(caller, workspace, "endpoint.update", f"endpoint:{name}", {"fields": sorted(changes)})
        if any(new[key] != row.spec.get(key) for key in ("traffic", "mirror_traffic", "compute")):
            seen = look(now.tx, row)
            free(seen)
            _check_traffic(seen, new)
        status = {**row.status, "caller": kept(caller)}
        now.wake("loops")
        return view(now.tx, now.tx.update(row.model_copy(update={"spec": new, "status": status})))

    return changed(deps, work)


def put(deps: Deps, caller: Caller, workspace: str, name: str, document: Mapping[str, Any]) -> Json:
    """Create it, or bring an existing one to what the document says; traffic that is not mentioned stays.

    A list of computes makes one that is on one compute into one on several, as `update` does.
    """
    allow(caller, "endpoint.write", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        there = tx.get("endpoint", workspace, name)
    if not several(document.get("compute")) and not (there and spread(there)):
        return endpoints.put(deps, caller, workspace, name, document)
    whole = named(document, name)
    if there is None:
        return create(deps, caller, workspace, whole)
    return update(deps, caller, workspace, name, fields_of(whole))


def delete(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Take it down everywhere. A site that is offline does so when it returns, and keeps the name until then."""
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> bool:
        row = need_endpoint(now.tx, workspace, name)
        if not spread(row):
            return False
        if row.phase != DELETING:
            seen = look(now.tx, row)
            if seen.rollout:
                free(seen)
            status = {**row.status, "caller": kept(caller)}
            now.tx.update(row.model_copy(update={"phase": DELETING, "status": status}))
            now.record(caller, workspace, "endpoint.delete", f"endpoint:{name}")
            now.wake("loops")
        return True

    if not changed(deps, work):
        endpoints.delete(deps, caller, workspace, name)


def get_credentials(deps: Deps, caller: Caller, workspace: str, name: str, compute: str = "") -> Json:
    """Keys or a token; with separate keys of every compute, `{computes: {NAME: {primaryKey, secondaryKey}}}`."""
    allow(caller, "endpoint.score", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
        parts = parts_of(tx, row, compute)
    if not spread(row) or row.spec.get("keys") != "separate":
        return credentials.get(deps, caller, workspace, name)
    found = {str(one.spec["compute"]): endpoints.keys(deps, caller, workspace, one.name) for one in parts}
    return found[str(parts[0].spec["compute"])] if compute else {"computes": found}


def get_keys(deps: Deps, caller: Caller, workspace: str, name: str, compute: str = "") -> Json:
    """Keys alone; raises Refused `NotSupported` where the endpoint takes tokens."""
    allow(caller, "endpoint.keys", workspace)
    with deps.store.read() as tx:
        with_keys(tx, workspace, name)
    return get_credentials(deps, caller, workspace, name, compute)


def regenerate(
    deps: Deps, caller: Caller, workspace: str, name: str, key_type: KeyType, compute: str = ""
) -> Json:  # fmt: skip
    """A new key in place of one of the two: everywhere, or where keys are separate on `compute`."""
    allow(caller, "endpoint.keys", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
        parts = parts_of(tx, row, compute)
    if not spread(row):
        return endpoints.regenerate(deps, caller, workspace, name, key_type)
    if row.spec.get("keys") == "separate":
        if not compute:
            raise Refused(
                "MissingField", f"endpoint {name} has keys of its own on each compute, and none is named",
                f"Say --compute: {' or '.join(row.spec['compute'])}.",
            )  # fmt: skip
        return endpoints.regenerate(deps, caller, workspace, parts[0].name, key_type)
    key = deps.dice.secret()

    def work(now: Turn) -> None:
        now.tx.update(with_key(deps, with_keys(now.tx, workspace, name), key_type, key))
        now.record(caller, workspace, "endpoint.regenerate-key", f"endpoint:{name}", {"key_type": key_type})
        for member in parts_of(now.tx, need_endpoint(now.tx, workspace, name)):
            if member.phase != DELETING:
                send(deps, now, now.tx.update(with_key(deps, member, key_type, key)))

    changed(deps, work)
    return endpoints.keys(deps, caller, workspace, name)


def stats(deps: Deps, caller: Caller, workspace: str, name: str, compute: str = "") -> Json:
    """Figures by revision and deployment; on several computes those of each below `sites`, and sums beside them."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
        sites = {str(one.spec["compute"]): endpoints.stats_of(tx, one) for one in parts_of(tx, row, compute)}
    if not spread(row):
        return next(iter(sites.values()))
    revisions = {
        revision: {"compute": where, **figures}
        for where, told in sites.items()
        for revision, figures in told["revisions"].items()
    }
    names = dict.fromkeys(name_ for told in sites.values() for name_ in told["deployments"])
    at = [told["at"] for told in sites.values() if told["at"]]
    return {
        "endpoint": name, "at": min(at) if at else None, "revisions": revisions, "sites": sites,
        "deployments": {one: summed([told["deployments"].get(one) or {} for told in sites.values()]) for one in names},
        "weights": {key: share for told in sites.values() for key, share in told["weights"].items()},
    }  # fmt: skip


def summed(figures: list[dict[str, Any]]) -> dict[str, Json]:
    """What can be added up of one deployment on several computes, accuracy over all labels among it."""
    made: dict[str, Json] = {
        key: round(sum(float(one[key]) for one in figures if key in one), 6)
        for key in SUMS
        if any(key in one for one in figures)
    }
    for key in ("ready", "wanted"):
        made[key] = sum(int(one.get(key) or 0) for one in figures)
    for key in ("accuracy", "recent_accuracy"):
        found = [one[key] for one in figures if one.get(key)]
        if found:
            parts = {part: sum(int(one.get(part, 0)) for one in found) for part in ("labels", "correct", "predictions")}
            share = round(parts["correct"] / parts["labels"], 6) if parts["labels"] else None
            made[key] = {**parts, "value": share}
    return made


def listed(endpoint: Row) -> tuple[str, ...]:
    """The computes that its spec names."""
    written = endpoint.spec["compute"]
    return (written,) if isinstance(written, str) else tuple(written)


def several(compute: Any) -> bool:
    """Whether a document lists its computes."""
    return isinstance(compute, list | tuple) or (isinstance(compute, str) and compute.strip().startswith("["))


def places_of(tx: Tx, workspace: str, names: tuple[str, ...]) -> list[Place]:
    """The places of computes; raises Refused `BadValue` when two of them are on one site."""
    places = [computes.place_of(tx, workspace, name) for name in names]
    taken: dict[str, str] = {}
    for place in places:
        if place.site in taken:
            raise Refused(
                "BadValue", f"computes {taken[place.site]} and {place.compute} are both on site {place.site}",
                "An endpoint is on each site once: its name is its address there. Leave one of them out.",
            )  # fmt: skip
        taken[place.site] = place.compute
    return places


def _asked(tx: Tx, row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The spec that the changes lead to; raises Refused for what cannot change."""
    for key in (*FIXED, "keys"):
        wanted = changes.get(key)
        if key != "compute" and wanted is not None and wanted != row.spec.get(key):
            raise Refused("NotSupported", f"{key} of an endpoint cannot change", "Delete it and create it anew.")
    base = {key: value for key, value in row.spec.items() if value is not None}
    given = {key: value for key, value in changes.items() if key not in FIXED or key == "compute"}
    if given.get("compute") is None:
        given.pop("compute", None)
    spec = parsed(OnlineEndpoint, {**base, **given})
    names = (spec.compute,) if isinstance(spec.compute, str) else spec.compute or ()
    there = listed(row)
    made = [name if name in there else computes.place_of(tx, row.workspace, name).compute for name in names]
    return {**spec.model_dump(mode="json"), "compute": made}


def _check_traffic(seen: Look, new: Mapping[str, Any]) -> None:
    for field in ("traffic", "mirror_traffic"):
        for name, share in (new[field] or {}).items():
            if name not in seen.deployments:
                raise Refused(
                    "TrafficInvalid",
                    f"{field} names deployment {name!r}, which endpoint {seen.row.name} does not have",
                    f"It has: {', '.join(sorted(seen.deployments)) or 'none'}.",
                )
            for compute, one in seen.seen.items():
                known = one.deployments.get(name) if one else None
                if share and one and not one.offline and compute in new["compute"] and not (known and known.serves):
                    raise Refused(
                        "TrafficInvalid",
                        f"deployment {name} has never been ready on compute {compute}, so it can take no {field}",
                        f"See why with `ferry online-deployment get-logs --compute {compute}`.",
                    )
