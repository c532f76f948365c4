"""Time passing over the keys that sign tokens: a new one when the old is of age, which goes when nothing needs it."""

from __future__ import annotations

from functools import partial

from ferryml.control import credentials, token_keys
from ferryml.control.context import Deps, Turn, changed

DAY = 86_400
SLACK_S = 300
"""How much longer than its tokens an old key is accepted: clocks of sites differ."""


def tick(deps: Deps) -> int:
    """How many workspaces' keys changed."""
    with deps.store.read() as tx:
        workspaces = sorted({row.workspace for row in credentials.endpoints_with_tokens(tx)})
    return sum(changed(deps, partial(_turn, deps, workspace)) for workspace in workspaces)


def _turn(deps: Deps, workspace: str, now: Turn) -> int:
    keys, at = token_keys.ring(now.tx, workspace), now.tx.now().timestamp()
    if not keys:
        return 0
    if len(keys) == 1:
        days = deps.settings.endpoint_token_key_days
        if not days or at < keys[-1].made_at + days * DAY:
            return 0
        credentials.begin(deps, now, workspace, keys)
        now.event(workspace, "endpoint.rotate-token-key", f"workspace:{workspace}", {"revoke": False})
        return 1
    newest = keys[-1].kid
    late = [
        row for row in credentials.endpoints_with_tokens(now.tx, workspace) if newest not in token_keys.accepted(row)
    ]
    since = token_keys.switched_at(now.tx, workspace)
    if late:
        # a change of the endpoint that began before the key was made may have told its site the older ring
        credentials.tell(deps, now, workspace)
        if since is not None:
            token_keys.put(now, workspace, keys)
        return 0
    if since is None:
        token_keys.put(now, workspace, keys, at)
        return 1
    if at < since + deps.settings.endpoint_token_ttl_s + SLACK_S:
        return 0
    token_keys.put(now, workspace, keys[-1:])
    credentials.tell(deps, now, workspace)
    return 1
