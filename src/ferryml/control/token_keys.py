"""The keys that sign tokens of endpoints: a ring for each workspace, at most two while one replaces the other.

The private halves are sealed, as endpoint keys are, and lie in the database beside what they belong to: a backup has
them. Sites are told the public halves with each order of an endpoint that takes tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from ferryml.control.context import Deps, Turn
from ferryml.control.ports import Row, Tx
from ferryml.domain.routes import key_id

NAME = "endpoint-tokens"
"""Of the ring's row, kind `setting`, in its workspace."""


class TokenKey(BaseModel):
    """One signing key."""

    model_config = ConfigDict(frozen=True)
    public: str
    """PEM (P-256)."""
    sealed: str
    """The private half, as only the server can read it."""
    made_at: float
    """Seconds since 1970."""

    @property
    def kid(self) -> str:
        """What tokens name it by."""
        return key_id(self.public)


def ring(tx: Tx, workspace: str) -> tuple[TokenKey, ...]:
    """Oldest first; empty until the workspace has its first endpoint with tokens."""
    row = tx.get("setting", workspace, NAME)
    return _keys(row) if row else ()


def public_keys(tx: Tx, workspace: str) -> str:
    """All public halves, one PEM after the other."""
    return "".join(key.public for key in ring(tx, workspace))


def ensure(deps: Deps, now: Turn, workspace: str) -> None:
    """There is a key from now on."""
    if not ring(now.tx, workspace):
        put(now, workspace, (new(deps, now),))


def new(deps: Deps, now: Turn) -> TokenKey:
    """A key that nobody knows yet."""
    public, sealed = deps.keys.new_token_key()
    return TokenKey(public=public, sealed=sealed, made_at=now.tx.now().timestamp())


def put(now: Turn, workspace: str, keys: Sequence[TokenKey], switched_at: float | None = None) -> None:
    """Replace the ring. `switched_at`: since when every site knows the newest key; None: not yet."""
    status = {"keys": [key.model_dump(mode="json") for key in keys], "switched_at": switched_at}
    row = now.tx.get("setting", workspace, NAME)
    if row is None:
        now.tx.insert(Row(kind="setting", workspace=workspace, name=NAME, status=status))
    else:
        now.tx.update(row.model_copy(update={"status": status}))


def switched_at(tx: Tx, workspace: str) -> float | None:
    """Since when no token was signed with any but the newest key; None while some site does not know it yet."""
    row = tx.get("setting", workspace, NAME)
    found: float | None = row.status.get("switched_at") if row else None
    return found


def signing(keys: Sequence[TokenKey], accepted: Sequence[str]) -> TokenKey:
    """The newest key that the endpoint's site says it accepts; the newest of all while it has said nothing.

    So a key is used where it opens the door, and a site that was away while keys changed goes on with the one it knows.
    """
    return next((key for key in reversed(keys) if key.kid in accepted), keys[-1])


def accepted(endpoint: Row) -> tuple[str, ...]:
    """Ids of the keys that the endpoint's router accepts, as its site last said."""
    seen: dict[str, Any] = endpoint.status.get("seen") or {}
    return tuple(seen.get("token_keys") or ())


def _keys(row: Row) -> tuple[TokenKey, ...]:
    return tuple(TokenKey.model_validate(one) for one in row.status.get("keys", ()))
