"""What opens an endpoint, for those who may know it: its keys, or a token that soon expires."""

from __future__ import annotations

from itertools import chain

from ferryml.control import endpoints, token_keys
from ferryml.control.context import Caller, Deps, Turn, allow, changed
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import need_workspace
from ferryml.control.serving_wishes import DELETING, need_endpoint, parts_of, send, spread
from ferryml.domain.errors import Conflict
from ferryml.domain.uids import uid_of

TOKENS = "aml_token"


def get(deps: Deps, caller: Caller, workspace: str, name: str) -> Json:
    """`{primaryKey, secondaryKey}` or `{accessToken, expiryTimeUtc, refreshAfterTimeUtc, tokenType}`.

    Times are seconds since 1970. Keys are for those who may keep them (`endpoint.keys`), tokens for whoever may score.
    """
    allow(caller, "endpoint.score", workspace)
    with deps.store.read() as tx:
        row = need_endpoint(tx, workspace, name)
    if row.spec["auth_mode"] != TOKENS:
        return endpoints.keys(deps, caller, workspace, name)
    return changed(deps, lambda now: _token(deps, now, caller, row))


def rotate(deps: Deps, caller: Caller, workspace: str, revoke: bool = False) -> Json:
    """Begin to sign the workspace's tokens with a new key; the old one goes on opening until its tokens have expired.

    With `revoke` the old keys end at once: every token that they signed is void as soon as its site has heard.

    Raises Conflict `OperationInProgress` while an earlier change is not over.
    """
    allow(caller, "token.write", workspace)

    def work(now: Turn) -> Json:
        need_workspace(now.tx, workspace)
        keys = token_keys.ring(now.tx, workspace)
        if len(keys) > 1 and not revoke:
            raise Conflict(
                "OperationInProgress", "the last change of the signing key is not over: the old key has tokens out",
                "Wait for it, or say revoke to end all old keys now.",
            )  # fmt: skip
        begin(deps, now, workspace, () if revoke else keys)
        now.record(caller, workspace, "endpoint.rotate-token-key", f"workspace:{workspace}", {"revoke": revoke})
        kept = token_keys.ring(now.tx, workspace)
        return {"keys": [{"kid": key.kid, "made_at": key.made_at} for key in kept]}

    return changed(deps, work)


def begin(deps: Deps, now: Turn, workspace: str, kept: tuple[token_keys.TokenKey, ...]) -> None:
    """A new key beside those that are kept, and the sites told."""
    token_keys.put(now, workspace, (*kept, token_keys.new(deps, now)))
    tell(deps, now, workspace)


def tell(deps: Deps, now: Turn, workspace: str) -> None:
    """Every site learns the ring as it is now."""
    for row in endpoints_with_tokens(now.tx, workspace):
        send(deps, now, row)


def endpoints_with_tokens(tx: Tx, workspace: str | None = None) -> list[Row]:
    """Those that open to tokens and are not on their way out."""
    found = tx.find("endpoint", workspace=workspace, limit=10_000)
    return [row for row in found if row.spec["auth_mode"] == TOKENS and row.phase != DELETING and not spread(row)]


def _token(deps: Deps, now: Turn, caller: Caller, row: Row) -> Json:
    accepted = [token_keys.accepted(part) for part in parts_of(now.tx, row)]
    everywhere = [kid for kid in dict.fromkeys(chain(*accepted)) if all(kid in one for one in accepted if one)]
    key = token_keys.signing(token_keys.ring(now.tx, row.workspace), everywhere)
    issued, life = int(now.tx.now().timestamp()), deps.settings.endpoint_token_ttl_s
    claims = {
        "iss": deps.keys.server_id, "aud": uid_of("endpoint", row.workspace, row.name), "sub": caller.name,
        "jti": deps.dice.id(16), "iat": issued, "exp": issued + life,
    }  # fmt: skip
    told = {"jti": claims["jti"], "expires": claims["exp"]}
    now.tx.audit(caller.name, row.workspace, "endpoint.token", f"endpoint:{row.name}", told)
    return {
        "accessToken": deps.keys.sign_token(key.sealed, claims), "expiryTimeUtc": claims["exp"],
        "refreshAfterTimeUtc": issued + life // 2, "tokenType": "Bearer",
    }  # fmt: skip
