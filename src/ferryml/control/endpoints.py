"""Endpoints: made with keys, shown with their figures, given traffic, deleted with all that is behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from ferryml.control import computes, token_keys
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need_workspace, parsed, shown
from ferryml.control.serving_wishes import (
    CREATING,
    DELETING,
    FAILED,
    UPDATING,
    begin,
    called,
    deployments_of,
    free,
    late,
    need_endpoint,
    send,
    short,
)
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.placement import Place
from ferryml.domain.spec.endpoint import OnlineEndpoint
from ferryml.domain.uids import uid_of

MAX_PER_SITE = 60
FIXED = ("name", "compute", "auth_mode", "identity")
CHANGEABLE = ("description", "tags", "properties", "location", "traffic", "mirror_traffic")
KeyType = Literal["primary", "secondary"]
Keys = dict[str, dict[str, str]]
"""`keys` and `key_hashes`: which of the two -> sealed, hashed."""


def create(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """A new endpoint, with two keys unless it takes tokens; requests come in as soon as its site has heard of it."""
    allow(caller, "endpoint.write", workspace)
    spec = new_spec(document)
    keys = new_keys(deps, spec)

    def work(now: Turn) -> Row:
        place = computes.place_of(now.tx, workspace, one_compute(spec))
        row = insert(deps, now, caller, Row(kind="endpoint", workspace=workspace, name=spec.name), spec, place, keys)
        now.record(caller, workspace, "endpoint.create", f"endpoint:{spec.name}", {"compute": place.compute})
        return row

    return view(changed(deps, work))


def new_spec(document: Mapping[str, Any]) -> OnlineEndpoint:
    """What a document asks for that makes an endpoint."""
    spec = parsed(OnlineEndpoint, document)
    if spec.traffic or spec.mirror_traffic:
        raise Refused(
            "TrafficInvalid", "an endpoint has no deployments when it is created, so it can have no traffic",
            "Create deployments first, then update traffic.",
        )  # fmt: skip
    return spec


def new_keys(deps: Deps, spec: OnlineEndpoint) -> Keys:
    """Two keys, sealed and hashed, as the status of an endpoint keeps them; none where it takes tokens."""
    made = {kind: deps.dice.secret() for kind in (("primary", "secondary") if spec.auth_mode == "key" else ())}
    return {
        "keys": {kind: deps.keys.seal(key) for kind, key in made.items()},
        "key_hashes": {kind: deps.keys.hash_token(key) for kind, key in made.items()},
    }


def one_compute(spec: OnlineEndpoint) -> str | None:
    """The compute of an endpoint that is on one."""
    return spec.compute if isinstance(spec.compute, str) else None


def insert(
    deps: Deps, now: Turn, caller: Caller, named: Row, spec: OnlineEndpoint, place: Place, keys: Keys
) -> Row:  # fmt: skip
    """It begins to be on a place, as the row `named` says who it is. Raises Conflict, Refused `LimitExceeded`."""
    workspace = named.workspace
    _room(now.tx, workspace, spec.name, place.site)
    if spec.auth_mode == "aml_token":
        token_keys.ensure(deps, now, workspace)
    status = {
        "uid": uid_of("endpoint", workspace, spec.name), "site": place.site, "namespace": place.namespace, **keys,
    }  # fmt: skip
    fields = {
        "phase": CREATING, "status": status, "spec": {**spec.model_dump(mode="json"), "compute": place.compute},
        "created_by": caller.name, "labels": {"compute": place.compute, "site": place.site},
    }  # fmt: skip
    return begin(deps, now, now.tx.insert(named.model_copy(update=fields)), {"kind": "create"})


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One endpoint with its traffic, scoring_uri and what its site last said."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        return view(need_endpoint(tx, workspace, name))


def scoring(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """Where predictions are asked, and with what: all that a scorer needs to know."""
    allow(caller, "endpoint.score", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
    told = view(row)
    return {key: told[key] for key in ("name", "auth_mode", "scoring_uri", "openapi_uri")}


def list_endpoints(deps: Deps, caller: Caller, workspace: str) -> list[Json]:
    """All of the workspace."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        return [view(row) for row in tx.find("endpoint", workspace=workspace)]


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change traffic, mirror_traffic or words about it."""
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> Row:
        row = need_endpoint(now.tx, workspace, name)
        spec = _changed(row, changes)
        _check_traffic(now.tx, row, spec)
        new = {**spec.model_dump(mode="json"), "compute": row.spec["compute"]}
        now.record(caller, workspace, "endpoint.update", f"endpoint:{name}", {"fields": sorted(changes)})
        if all(new[key] == row.spec.get(key) for key in ("traffic", "mirror_traffic")):
            return now.tx.update(row.model_copy(update={"spec": new}))
        free(now.tx, row)
        return begin(deps, now, row.model_copy(update={"spec": new, "phase": UPDATING}), {"kind": "update"})

    return view(changed(deps, work))


def put(deps: Deps, caller: Caller, workspace: str, name: str, document: Mapping[str, Any]) -> Json:
    """Create it, or bring an existing one to what the document says; traffic that is not mentioned stays."""
    allow(caller, "endpoint.write", workspace)
    whole = named(document, name)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        there = tx.get("endpoint", workspace, name) is not None
    if not there:
        return create(deps, caller, workspace, whole)
    return update(deps, caller, workspace, name, fields_of(whole))


def named(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The document with its name in it. Raises Refused(BadValue) when it is another endpoint's."""
    if document.get("name", name) != name:
        raise Refused("BadValue", f"the document is of endpoint {document['name']!r}, not {name!r}")
    return {**document, "name": name}


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a whole document asks to change: the fields that it mentions. Raises Refused."""
    given = parsed(OnlineEndpoint, document).model_dump(mode="json", exclude_unset=True)
    return {key: given[key] for key in given if key not in ("name", "type")}


def delete(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Take it down with all its deployments; it is gone once the site says so."""
    allow(caller, "endpoint.write", workspace)

    def work(now: Turn) -> None:
        row = need_endpoint(now.tx, workspace, name)
        operation = row.status.get("operation")
        if operation and row.phase not in (FAILED, DELETING) and not late(now.tx, operation):
            free(now.tx, row)
        if row.phase != DELETING:
            remove(now, row)
            now.record(caller, workspace, "endpoint.delete", f"endpoint:{name}")

    changed(deps, work)


def remove(now: Turn, row: Row) -> None:
    """Its site is told to drain and delete it."""
    site = str(row.status["site"])
    status = {**row.status, "rollout": None, "operation": None}
    now.tx.update(row.model_copy(update={"phase": DELETING, "status": status}))
    now.tx.put_wish(site, str(row.status["uid"]), None)
    now.wake(f"site:{site}")


def keys(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """`{primaryKey, secondaryKey}`; each look is audited."""
    allow(caller, "endpoint.keys", workspace)

    def work(now: Turn) -> Row:
        row = with_keys(now.tx, workspace, name)
        now.tx.audit(caller.name, workspace, "endpoint.keys", f"endpoint:{name}", {})
        return row

    sealed = changed(deps, work).status["keys"]
    return {f"{kind}Key": deps.keys.unseal(sealed[kind]) for kind in ("primary", "secondary")}


def regenerate(deps: Deps, caller: Caller, workspace: str, name: str, key_type: KeyType) -> Json:
    """A new key in place of one of the two; the other goes on opening. Needs no other operation to end."""
    allow(caller, "endpoint.keys", workspace)
    key = deps.dice.secret()

    def work(now: Turn) -> None:
        row = with_keys(now.tx, workspace, name)
        if row.phase == DELETING:
            free(now.tx, row)
        row = now.tx.update(with_key(deps, row, key_type, key))
        now.record(caller, workspace, "endpoint.regenerate-key", f"endpoint:{name}", {"key_type": key_type})
        send(deps, now, row)

    changed(deps, work)
    return keys(deps, caller, workspace, name)


def with_key(deps: Deps, row: Row, key_type: KeyType, key: str) -> Row:
    """The endpoint with `key` in place of one of its two."""
    kept = {
        "keys": {**row.status["keys"], key_type: deps.keys.seal(key)},
        "key_hashes": {**row.status["key_hashes"], key_type: deps.keys.hash_token(key)},
    }
    return row.model_copy(update={"status": {**row.status, **kept}})


def stats(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """Requests, errors, latencies, mirrors and accuracy: by revision, and of the revision that serves by deployment."""
    allow(caller, "endpoint.read", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
        return stats_of(tx, row)


def stats_of(tx: Tx, row: Row) -> dict[str, Json]:
    """The same of a row."""
    rows = deployments_of(tx, row)
    seen: dict[str, Any] = row.status.get("seen") or {}
    states = {one["revision"]: one for one in seen.get("revisions") or []}
    by_revision = {one: _placed(seen, states.get(one), one) for one in _revisions(seen, states)}
    serving = {short(one): str(one.status.get("serving") or "") for one in rows}
    deployments = {name_: {"revision": one, **by_revision.get(one, {})} for name_, one in serving.items()}
    return {
        "endpoint": called(row), "at": seen.get("at"), "weights": seen.get("weights", {}), "revisions": by_revision,
        "deployments": deployments,
        "rollout": row.status.get("rollout_status"),
    }  # fmt: skip


def _placed(seen: Mapping[str, Any], state: Mapping[str, Any] | None, revision: str) -> dict[str, Json]:
    """The figures of a revision beside whose it is, how many instances it has, and its share of the traffic."""
    told = {key: (state or {}).get(key) for key in ("deployment", "state", "ready", "wanted")}
    percent = (seen.get("weights") or {}).get(revision, 0)
    return {**told, "percent": percent, **figures_of(seen, revision)}


def figures_of(seen: Mapping[str, Any], revision: str) -> dict[str, Json]:
    """Counters of one revision, with accuracy where there are labels."""
    figures = dict((seen.get("counters") or {}).get(revision) or {})
    for name, key in (("accuracy", "accuracy"), ("recent_accuracy", "recent_accuracy")):
        found = (seen.get(key) or {}).get(revision)
        if found:
            share = round(found["correct"] / found["labels"], 6) if found["labels"] else None
            figures[name] = {**found, "value": share}
    return figures


def view(row: Row) -> Json:
    """An endpoint as `az ml` shows it."""
    uri = str(row.status.get("scoring_uri") or "")
    seen: dict[str, Any] = row.status.get("seen") or {}
    ours = {
        "site": row.status["site"], "uid": row.status["uid"], "operation": row.status.get("operation"),
        "rollout": row.status.get("rollout_status"), "weights": seen.get("weights", {}),
        "reason": row.status.get("reason", ""), "code": row.status.get("code", ""), "seen_at": seen.get("at"),
    }  # fmt: skip
    return shown(
        row, ours, scoring_uri=uri or None, openapi_uri=re.sub(r"/score$", "/swagger.json", uri) or None,
        kind="Local" if uri.startswith("http://127.") else "K8S",
    )  # fmt: skip


def with_keys(tx: Tx, workspace: str, name: str) -> Row:
    """An endpoint that opens to keys; raises Refused `NotSupported` for another."""
    row = need_endpoint(tx, workspace, name)
    if row.spec["auth_mode"] != "key":
        raise Refused(
            "NotSupported", f"endpoint {name} has auth_mode {row.spec['auth_mode']}: it has no keys, its tokens expire",
            "Take a token: ferry online-endpoint get-credentials. All tokens of the workspace are made void by"
            " ferry workspace rotate-token-key --revoke.",
        )  # fmt: skip
    return row


def _changed(row: Row, changes: Mapping[str, Any]) -> OnlineEndpoint:
    for key in FIXED:
        if key in changes and changes[key] is not None and _plain(changes[key]) != _plain(row.spec.get(key)):
            raise Refused("NotSupported", f"{key} of an endpoint cannot change", "Delete it and create it anew.")
    base = {key: value for key, value in row.spec.items() if value is not None}
    return parsed(OnlineEndpoint, {**base, **{key: value for key, value in changes.items() if key not in FIXED}})


def _plain(value: Any) -> Any:
    return value.removeprefix("azureml:").lower() if isinstance(value, str) else value


def _check_traffic(tx: Tx, row: Row, spec: OnlineEndpoint) -> None:
    known = {short(one): one for one in deployments_of(tx, row) if one.phase != DELETING}
    for field, shares in (("traffic", spec.traffic), ("mirror_traffic", spec.mirror_traffic)):
        for name, share in shares.items():
            if name not in known:
                raise Refused(
                    "TrafficInvalid", f"{field} names deployment {name!r}, which endpoint {row.name} does not have",
                    f"It has: {', '.join(sorted(known)) or 'none'}.",
                )  # fmt: skip
            if share and not known[name].status.get("serving"):
                raise Refused(
                    "TrafficInvalid", f"deployment {name} has never been ready, so it can take no {field}",
                    "See why with `ferry online-deployment get-logs`.",
                )  # fmt: skip


def _room(tx: Tx, workspace: str, name: str, site: str) -> None:
    there = tx.find("endpoint", archived="any", label=("site", site), limit=MAX_PER_SITE + 1)
    if len(there) >= MAX_PER_SITE:
        raise Refused("LimitExceeded", f"site {site} has {MAX_PER_SITE} endpoints already", "Delete one.")
    for row in there:
        if called(row) == name and row.workspace != workspace:
            raise Conflict(
                "AlreadyExists", f"an endpoint {name!r} of another workspace serves on site {site}",
                "Endpoint names are unique on each site: choose another.",
            )  # fmt: skip


def _revisions(seen: Mapping[str, Any], states: Mapping[str, Any]) -> list[str]:
    return sorted({*states, *(seen.get("counters") or {}), *(seen.get("accuracy") or {})})
