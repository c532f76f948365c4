"""Tokens of people and programs: hashed at rest, expiring, with one role in one workspace."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import cast

from ferryml.control.context import Caller, Deps, allow, turn
from ferryml.control.ports import Json, Row
from ferryml.control.rows import missing, need_workspace
from ferryml.domain.access import EVERYWHERE, ROLES, Role
from ferryml.domain.errors import Forbidden, Refused, Unauthenticated

PREFIX = "fry"


def create(
    deps: Deps, caller: Caller, workspace: str, name: str, role: str, expires_in_s: int | None = None
) -> dict[str, Json]:
    """A new token; its text is in `token` of this answer and nowhere else, ever.

    Only an owner of all workspaces may make a token for all (`*`).
    """
    allow(caller, "token.write", workspace if workspace != EVERYWHERE else "")
    if workspace == EVERYWHERE and caller.workspace != EVERYWHERE:
        raise Forbidden("Forbidden", "only an owner of all workspaces makes tokens for all of them")
    if role not in ROLES:
        raise Refused("BadValue", f"{role!r} is not a role", f"Roles: {', '.join(ROLES)}.")
    life = expires_in_s or deps.settings.token_ttl_s
    if not 1 <= life <= deps.settings.max_token_ttl_s:
        raise Refused("BadValue", f"expires_in_s is 1 to {deps.settings.max_token_ttl_s} seconds")
    ident, secret = deps.dice.id(10), deps.dice.secret()
    with turn(deps) as now:
        if workspace != EVERYWHERE:
            need_workspace(now.tx, workspace)
        expires = now.tx.now() + timedelta(seconds=life)
        spec = {"name": name, "role": role, "workspace": workspace, "hash": deps.keys.hash_token(secret)}
        row = now.tx.insert(
            Row(
                kind="token", name=ident, parent=workspace, created_by=caller.name, phase="Active",
                spec={**spec, "expires_at": expires.isoformat()},
            )
        )  # fmt: skip
        now.record(caller, workspace, "token.create", f"token:{ident}", {"name": name, "role": role})
    return {**view(row), "token": f"{PREFIX}_{ident}_{secret}"}


def verify(deps: Deps, text: str) -> Caller:
    """Who shows this token; raises Unauthenticated (`Unauthenticated`, `TokenExpired`, `TokenRevoked`)."""
    prefix, _, rest = text.partition("_")
    ident, _, secret = rest.partition("_")
    with deps.store.read() as tx:
        row = tx.get("token", "", ident) if prefix == PREFIX and ident.isalnum() and secret else None
        now = tx.now()
    if row is None or not hmac.compare_digest(str(row.spec["hash"]), deps.keys.hash_token(secret)):
        raise Unauthenticated("Unauthenticated", "the token is not known here", "Log in with `ferry login`.")
    if row.phase == "Revoked":
        raise Unauthenticated("TokenRevoked", "the token was revoked", "Ask the workspace's owner for a new one.")
    if datetime.fromisoformat(row.spec["expires_at"]) <= now:
        raise Unauthenticated("TokenExpired", f"the token expired at {row.spec['expires_at']}", "Ask for a new one.")
    return Caller(row.spec["name"] or ident, cast(Role, row.spec["role"]), row.spec["workspace"], ident)


def list_tokens(deps: Deps, caller: Caller, workspace: str) -> list[dict[str, Json]]:
    """All tokens of the workspace, without secrets."""
    allow(caller, "token.write", workspace if workspace != EVERYWHERE else "")
    if workspace == EVERYWHERE and caller.workspace != EVERYWHERE:
        raise Forbidden("Forbidden", "only an owner of all workspaces sees tokens for all of them")
    with deps.store.read() as tx:
        return [view(row) for row in tx.find("token", parent=workspace)]


def revoke(deps: Deps, caller: Caller, workspace: str, ident: str) -> None:
    """From now on the token opens nothing."""
    allow(caller, "token.write", workspace if workspace != EVERYWHERE else "")
    with turn(deps) as now:
        row = now.tx.get("token", "", ident)
        if row is None or row.parent != workspace or not caller.sees(row.parent):
            raise missing("token", workspace, ident)
        if row.phase != "Revoked":
            now.tx.update(row.model_copy(update={"phase": "Revoked"}))
            now.record(caller, workspace, "token.revoke", f"token:{ident}")


def view(row: Row) -> dict[str, Json]:
    """What may be told of a token."""
    told = {key: row.spec[key] for key in ("name", "role", "workspace", "expires_at")}
    made = row.created_at.isoformat() if row.created_at else None
    return {"id": row.name, **told, "state": row.phase, "created_at": made, "created_by": row.created_by}
