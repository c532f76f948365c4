"""Sites: named by IT, joined once by their agent, heard from ever after."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ferryml.control.context import SYSTEM, Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need, shown
from ferryml.control.site_commands import commands
from ferryml.control.workspaces import public_url
from ferryml.domain.errors import Conflict, Refused, Unauthenticated
from ferryml.domain.link import PROTOCOL, SERVED, Enrol, Enrolled, Heartbeat, HeartbeatAnswer
from ferryml.domain.names import check

PENDING, ONLINE, OFFLINE, REVOKED = "Pending", "Online", "Offline", "Revoked"
JOIN = "join"
PRIVATE = ("join", "agent_key", "gateway_key")
"""Parts of a site's status that nobody is shown."""


def seen_channel(site: str) -> str:
    """Whom to wake when a site has answered a question."""
    return f"seen:{site}"


def create(deps: Deps, caller: Caller, name: str, zone: str = "", settings: Mapping[str, Any] | None = None) -> Json:
    """A new site and the one-time token that lets its agent join; the token is told only now."""
    allow(caller, "site.write", "")
    check("site", name)
    check("zone", zone or name)
    token, join = _join_token(deps, name)
    with turn(deps) as now:
        spec = {"name": name, "zone": zone or name, "settings": dict(settings or {})}
        join["expires_at"] = _expiry(deps, now.tx)
        row = now.tx.insert(
            Row(kind="site", name=name, spec=spec, status={JOIN: join}, phase=PENDING, created_by=caller.name)
        )
        now.record(caller, "", "site.create", f"site:{name}", {"zone": spec["zone"]})
        return {"site": view(row), "join_token": token, **_commands(deps, name, token)}


def new_join_token(deps: Deps, caller: Caller, name: str) -> Json:
    """Another one-time token, for a site that is to join again; earlier ones die. Its keys go on working till then."""
    allow(caller, "site.write", "")
    token, join = _join_token(deps, name)

    def work(now: Turn) -> Row:
        row = need(now.tx, "site", "", name)
        now.record(caller, "", "site.token", f"site:{name}")
        fresh = {**join, "expires_at": _expiry(deps, now.tx)}
        return now.tx.update(row.model_copy(update={"status": {**row.status, JOIN: fresh}}))

    row = changed(deps, work)
    return {"site": view(row), "join_token": token, **_commands(deps, name, token)}


def enrol(deps: Deps, asked: Enrol) -> Enrolled:
    """A join token becomes two keys. Raises Unauthenticated `JoinTokenUsed`, Refused `AgentTooOld`, `NotSupported`.

    Asking again with the same token and the same keys is answered again, for the answer may have been lost.
    """
    check_protocol(asked.protocol)
    name = _site_of(asked.join_token)

    def work(now: Turn) -> tuple[Row, datetime, str]:
        row = now.tx.get("site", "", name)
        join = row.status.get(JOIN, {}) if row else {}
        good = hmac.compare_digest(str(join.get("hash", "")), deps.keys.hash_token(asked.join_token))
        keys = {"agent_key": asked.agent_key, "gateway_key": asked.gateway_key}
        if row is None or not good or (join.get("used") and any(row.status.get(k) != v for k, v in keys.items())):
            raise _no_join()
        if not join.get("used") and datetime.fromisoformat(join["expires_at"]) <= now.tx.now():
            raise _no_join()
        status = {
            **row.status, **keys, JOIN: {**join, "used": True}, "backend": asked.backend, "version": asked.version,
            "protocol": asked.protocol, "enrolled_at": now.tx.now().isoformat(),
            "last_seen": now.tx.now().isoformat(),
        }  # fmt: skip
        if not join.get("used"):
            now.record(SYSTEM, "", "site.enrol", f"site:{name}", {"version": asked.version})
        now.wake("loops")
        return now.tx.update(row.model_copy(update={"status": status, "phase": ONLINE})), now.tx.now(), now.tx.epoch()

    row, at, epoch = changed(deps, work)
    return Enrolled(
        site=name, zone=row.spec["zone"], server_id=deps.keys.server_id, server_key=deps.keys.public_key(),
        epoch=epoch, settings=row.spec.get("settings", {}), server_time=at,
    )  # fmt: skip


def heartbeat(deps: Deps, site: str, beat: Heartbeat) -> HeartbeatAnswer:
    """The site is there, and this is what it has. Raises Refused as `check_protocol` does, having noted the version."""

    def work(now: Turn) -> tuple[Row, datetime]:
        row = need(now.tx, "site", "", site)
        if beat.protocol not in SERVED:
            # not heard from: it does nothing that is asked, so it goes offline
            known = {**row.status, "version": beat.version, "protocol": beat.protocol}
            return (
                now.tx.update(row.model_copy(update={"status": known})) if known != row.status else row
            ), now.tx.now()
        status = {
            **row.status, "last_seen": now.tx.now().isoformat(), "version": beat.version, "protocol": beat.protocol,
            "capabilities": list(beat.capabilities), "inventory": dict(beat.inventory),
        }  # fmt: skip
        if row.phase != ONLINE:
            now.event("", "site.online", f"site:{site}")
            now.wake("loops")
        if beat.inventory.get("answered") != (row.status.get("inventory") or {}).get("answered"):
            now.wake(seen_channel(site))
        return now.tx.update(row.model_copy(update={"status": status, "phase": ONLINE})), now.tx.now()

    row, at = changed(deps, work)
    check_protocol(beat.protocol)
    return HeartbeatAnswer(server_time=at, settings=row.spec.get("settings", {}))


def check_protocol(protocol: int) -> None:
    """Raises Refused `AgentTooOld`, or `NotSupported` for one that is newer than this server."""
    words = f"the agent speaks protocol {protocol}, this server {PROTOCOL} and {PROTOCOL - 1}"
    if protocol < min(SERVED):
        raise Refused("AgentTooOld", words, "Upgrade the agent: its site goes on with what it has until then.")
    if protocol > PROTOCOL:
        raise Refused(
            "NotSupported", words, "Upgrade the server first: it serves agents as old as itself or one older."
        )


def check_served(tx: Tx, site: str) -> None:
    """The same by what the site's last heartbeat said, for calls that say no version."""
    row = tx.get("site", "", site)
    if row is not None:
        check_protocol(int(row.status.get("protocol", PROTOCOL)))


def authenticate(deps: Deps, token: str, half: str) -> str:
    """The site whose agent or gateway (`half`) signed this; raises Unauthenticated."""
    with deps.store.read() as tx:
        now, rows = deps.dice.now(), tx.find("site")
    keys = {
        f"{row.name}/{part}": str(row.status.get(f"{part}_key", ""))
        for row in rows
        for part in ("agent", "gateway")
        if row.phase not in (PENDING, REVOKED)
    }
    subject = deps.keys.verify_site_jwt(token, {who: key for who, key in keys.items() if key}, now)
    site, _, part = subject.partition("/")
    if part != half:
        raise Unauthenticated("Unauthenticated", f"this door is for the {half} of a site, not for its {part}")
    return site


def show(deps: Deps, caller: Caller, name: str) -> Json:
    """One site with what it has and what is orphaned on it."""
    allow(caller, "site.read", "")
    with deps.store.read() as tx:
        return view(need(tx, "site", "", name))


def list_sites(deps: Deps, caller: Caller) -> list[Json]:
    """All sites."""
    allow(caller, "site.read", "")
    with deps.store.read() as tx:
        return [view(row) for row in tx.find("site")]


def update(deps: Deps, caller: Caller, name: str, changes: Mapping[str, Any]) -> Json:
    """Change description or settings; a site never changes its zone, for data may be bound to it."""
    allow(caller, "site.write", "")
    if unknown := sorted(set(changes) - {"settings", "description"}):
        raise Refused("UnknownField", f"{unknown[0]!r} of a site cannot be changed", "settings and description can.")

    def work(now: Turn) -> Row:
        row = need(now.tx, "site", "", name)
        now.record(caller, "", "site.update", f"site:{name}", {"fields": sorted(changes)})
        return now.tx.update(row.model_copy(update={"spec": {**row.spec, **changes}}))

    return view(changed(deps, work))


def delete(deps: Deps, caller: Caller, name: str) -> None:
    """Forget the site: its keys open nothing from now on. Refused while a compute is attached to it."""
    allow(caller, "site.write", "")
    with turn(deps) as now:
        need(now.tx, "site", "", name)
        for row in now.tx.find("compute", archived="any"):
            if row.status.get("site") == name:
                raise Conflict(
                    "InUse",
                    f"compute {row.name} of workspace {row.workspace} is attached to site {name}",
                    f"Detach it first: ferry compute detach -n {row.name}.",
                )
        now.tx.delete("site", "", name)
        now.record(caller, "", "site.delete", f"site:{name}")


def orphan(now: Turn, site: str, uids: Mapping[str, Json]) -> None:
    """Remember what the site has and the server does not know: shown, never deleted."""
    row = now.tx.get("site", "", site)
    if row is None:
        return
    orphans = {**row.status.get("orphans", {}), **uids}
    if orphans != row.status.get("orphans", {}):
        now.tx.update(row.model_copy(update={"status": {**row.status, "orphans": orphans}}))
        now.event("", "site.orphans", f"site:{site}", {"uids": sorted(uids)})


def view(row: Row) -> Json:
    """A site as it is shown: no hashes, no keys."""
    told = {key: value for key, value in row.status.items() if key not in PRIVATE}
    return shown(row, provisioning_state=row.phase, state=row.phase, **told)


def _join_token(deps: Deps, name: str) -> tuple[str, dict[str, Any]]:
    token = f"join_{name}_{deps.dice.secret()}"
    return token, {"hash": deps.keys.hash_token(token), "used": False}


def _expiry(deps: Deps, tx: Tx) -> str:
    return (tx.now() + timedelta(seconds=deps.settings.join_token_ttl_s)).isoformat()


def _site_of(token: str) -> str:
    prefix, _, rest = token.partition("_")
    name, _, secret = rest.partition("_")
    if prefix != JOIN or not name or not secret:
        raise _no_join()
    return name


def _no_join() -> Unauthenticated:
    return Unauthenticated(
        "JoinTokenUsed",
        "the join token was used before, has expired or never existed",
        "Make a new one: `ferry site token`.",
    )


def _commands(deps: Deps, name: str, token: str) -> dict[str, str]:
    return commands(public_url(deps), name, token, deps.settings.agent_chart)
