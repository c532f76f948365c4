"""Webhooks: made, shown, changed, tried out, and deleted when no automation needs them. Secrets leave once or never."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Answered, Json, Row, Tx
from ferryml.control.rows import need, need_workspace, page, parsed, shown
from ferryml.control.workspaces import public_url
from ferryml.domain.addresses import masked, web_address
from ferryml.domain.automation import ACTIVE as UNDER_WAY
from ferryml.domain.errors import Conflict, FerryError, Refused
from ferryml.domain.spec.automation import Automation
from ferryml.domain.spec.webhook import Webhook
from ferryml.domain.webhooks import CONTENT_TYPE, body_of, event_id, key_of, ping_event, secret_of, signed

ACTIVE, DISABLED, GONE = "Active", "Disabled", "Gone"
"""Gone: the receiver answered 410, and wants no more."""
WAITING = "Waiting"
"""Phase of a delivery that has not been taken."""
OLD_SECRET_S = 86_400
"""How long a secret that was replaced also signs, so that the receiver can be changed meanwhile."""
MOST_SECRETS = 3
MOST_ROWS = 10_000
HIDDEN = ("url", "secrets")


def create(deps: Deps, caller: Caller, workspace: str, document: Mapping[str, Any]) -> Json:
    """A new webhook. `secret` beside the spec's fields is its own; else one is made, and is in this answer alone."""
    allow(caller, "webhook.write", workspace)
    given = document.get("secret")
    spec = _read(deps, {key: value for key, value in document.items() if key != "secret"})
    secret = _secret(deps, given)
    sealed = {"url": deps.keys.seal(spec.url), "secrets": [{"sealed": deps.keys.seal(secret)}]}
    status = {**sealed, "delivered": 0, "failed": 0}

    def work(now: Turn) -> Row:
        need_workspace(now.tx, workspace)
        row = Row(
            kind="webhook", workspace=workspace, name=spec.name, spec=_kept(spec), status=status,
            phase=ACTIVE if spec.enabled else DISABLED, created_by=caller.name,
        )  # fmt: skip
        row = now.tx.insert(row)
        now.record(caller, workspace, "webhook.create", f"webhook:{spec.name}", {"url": masked(spec.url)})
        return row

    return {**view(deps, caller, changed(deps, work)), **({} if given else {"secret": secret})}


def show(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """One webhook, with how many events wait and what was given up last."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "webhook", workspace, name)
        return view(deps, caller, row, {"waiting": len(waiting(tx, row, deps.settings.webhook_waiting))})


def list_webhooks(deps: Deps, caller: Caller, workspace: str, after: int, limit: int) -> dict[str, Json]:
    """All of a workspace, newest first."""
    allow(caller, "workspace.read", workspace)
    with deps.store.read() as tx:
        need_workspace(tx, workspace)
        rows = tx.find("webhook", workspace=workspace, after=after, limit=limit, newest_first=True)
    return page(rows, limit, [view(deps, caller, row) for row in rows])


def update(deps: Deps, caller: Caller, workspace: str, name: str, changes: Mapping[str, Any]) -> Json:
    """Change fields. A new url, or a word on `enabled`, also switches on again what the receiver had ended with 410."""
    allow(caller, "webhook.write", workspace)
    if "secret" in changes:
        raise Refused("NotSupported", "a secret is not changed like this", "See `ferry webhook rotate-secret`.")

    def work(now: Turn) -> Row:
        row = need(now.tx, "webhook", workspace, name)
        if any(changes[key] != row.spec[key] for key in ("name", "type") if key in changes):
            raise Refused("NotSupported", "name and type of a webhook cannot change", "Make another one.")
        spec = _read(deps, {**row.spec, "url": deps.keys.unseal(str(row.status["url"])), **changes})
        status = {**row.status, "url": deps.keys.seal(spec.url)}
        phase = row.phase
        if {"url", "enabled"} & changes.keys():
            phase = ACTIVE if spec.enabled else DISABLED
            status.pop("failing", None)
        now.record(caller, workspace, "webhook.update", f"webhook:{name}", {"fields": sorted(changes)})
        now.wake("loops")
        return now.tx.update(row.model_copy(update={"spec": _kept(spec), "status": status, "phase": phase}))

    return view(deps, caller, changed(deps, work))


def rotate(deps: Deps, caller: Caller, workspace: str, name: str, given: str | None, revoke: bool) -> Json:
    """A new secret, given or made; what is made is in this answer alone.

    The old one signs beside it for a day, but not with `revoke`.
    """
    allow(caller, "webhook.write", workspace)
    secret = _secret(deps, given)

    def work(now: Turn) -> Json:
        row = need(now.tx, "webhook", workspace, name)
        until = (now.tx.now() + timedelta(seconds=OLD_SECRET_S)).isoformat()
        old = [] if revoke else [{"until": until, **one} for one in _valid(row, now.tx.now())]
        secrets = [{"sealed": deps.keys.seal(secret)}, *old][:MOST_SECRETS]
        now.tx.update(row.model_copy(update={"status": {**row.status, "secrets": secrets}}))
        now.record(caller, workspace, "webhook.rotate-secret", f"webhook:{name}", {"revoke": revoke})
        return {"name": name, "old_valid_until": until if old else None}

    return {**changed(deps, work), **({} if given else {"secret": secret})}


def delete(deps: Deps, caller: Caller, workspace: str, name: str) -> None:
    """Remove it, and what waits for it. Raises Conflict(InUse) while an automation, or a run under way, names it."""
    allow(caller, "webhook.write", workspace)

    def work(now: Turn) -> None:
        row = need(now.tx, "webhook", workspace, name)
        users = _users(now.tx, workspace, name)
        if users:
            raise Conflict(
                "InUse", f"webhook {name} is named by {', '.join(users[:5])}" + (", ..." if users[5:] else ""),
                "Take it out of their `notify` first, and let runs under way end.", {"users": users[:100]},
            )  # fmt: skip
        dropped = waiting(now.tx, row, 1000)
        for one in dropped:
            now.tx.delete("delivery", workspace, one.name)
        now.tx.delete("webhook", workspace, name)
        now.record(caller, workspace, "webhook.delete", f"webhook:{name}", {"dropped": len(dropped)})

    changed(deps, work)


def ping(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """Post a signed ping now: `{ok, status, latency_ms, reason}`; owners also see the beginning of the answer."""
    allow(caller, "webhook.write", workspace)

    def begun(now: Turn) -> Row:
        row = need(now.tx, "webhook", workspace, name)
        now.record(caller, workspace, "webhook.test", f"webhook:{name}")
        return row

    row = changed(deps, begun)
    at = deps.dice.now()
    event = ping_event(event_id(workspace, name, deps.dice.id(24)), workspace, name, public_url(deps), at)
    start = time.monotonic()
    try:
        answer = send(deps, row, event)
    except FerryError as error:
        return {"ok": False, "status": None, "latency_ms": _since(start), "reason": error.message, "code": error.code}
    told = {"ok": 200 <= answer.status < 300, "status": answer.status, "latency_ms": _since(start)}
    reason = "" if told["ok"] else f"the receiver answered {answer.status}"
    return {**told, "reason": reason, **({"said": answer.said} if caller.role == "owner" else {})}


def send(deps: Deps, row: Row, event: Mapping[str, Json]) -> Answered:
    """One signed post. Raises FerryError when nobody answered, or nobody may be asked."""
    url, at = deps.keys.unseal(str(row.status["url"])), deps.dice.now()
    web_address(url, deps.settings.webhook_allow_http)
    body = body_of(event)
    secrets = [deps.keys.unseal(str(one["sealed"])) for one in _valid(row, at)]
    headers = {"content-type": CONTENT_TYPE, **signed(str(event["id"]), at, body, secrets)}
    return deps.post.post(url, body, headers)


def waiting(tx: Tx, row: Row, limit: int) -> list[Row]:
    """Deliveries that have not been taken, in the order of what happened."""
    return tx.find("delivery", workspace=row.workspace, parent=row.name, phases=(WAITING,), limit=limit)


def view(deps: Deps, caller: Caller, row: Row, ours: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """As it is answered: the whole url to who may write it, what receivers said to owners."""
    status = {key: value for key, value in row.status.items() if key not in HIDDEN}
    if caller.role != "owner":
        status = _without_said(status)
    made = shown(row, {**status, **(ours or {})}, phase=row.phase)
    if caller.may("webhook.write", row.workspace):
        made["url"] = deps.keys.unseal(str(row.status["url"]))
    return made


def _read(deps: Deps, document: Mapping[str, Any]) -> Webhook:
    spec = parsed(Webhook, document)
    web_address(spec.url, deps.settings.webhook_allow_http)
    return spec


def _secret(deps: Deps, given: Any) -> str:
    """What was given, once it is found good; else a new one."""
    if given is None:
        return secret_of(deps.dice.secret())
    if not isinstance(given, str):
        raise Refused("BadValue", "secret is a text", "Leave it out: the server makes one.")
    key_of(given)
    return given


def _kept(spec: Webhook) -> dict[str, Json]:
    return {**spec.model_dump(mode="json"), "url": masked(spec.url)}


def _valid(row: Row, now: datetime) -> list[dict[str, Json]]:
    kept: list[dict[str, Json]] = row.status["secrets"]
    return [one for one in kept if "until" not in one or datetime.fromisoformat(one["until"]) > now]


def _users(tx: Tx, workspace: str, name: str) -> list[str]:
    kept = tx.find("automation", workspace=workspace, archived="any", limit=MOST_ROWS)
    runs = tx.find("automation_run", workspace=workspace, phases=UNDER_WAY, archived="any", limit=MOST_ROWS)
    users = [f"automation {row.name}" for row in kept if _names(row, name)]
    return users + [f"run {row.status['run']['run']} of automation {row.parent}" for row in runs if _names(row, name)]


def _names(row: Row, webhook: str) -> bool:
    return any(one.webhook == webhook for one in parsed(Automation, row.spec).notify)


def _without_said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_said(inner) for key, inner in value.items() if key != "said"}
    return [_without_said(one) for one in value] if isinstance(value, list) else value


def _since(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)
