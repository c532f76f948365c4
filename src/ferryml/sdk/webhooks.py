"""What is asked of webhooks beyond what all nouns with a name have: secrets, and a ping."""

from __future__ import annotations

from typing import Any

from ferryml.sdk import nouns
from ferryml.sdk.collections import Named, Runs
from ferryml.sdk.flow import Flow, Json, send
from ferryml.sdk.flows import below, ready


class Webhooks(Named):
    """Webhooks: who hears what became of an automation."""

    def __init__(self, client: Runs) -> None:
        super().__init__(client, "webhooks")

    def create(self, spec: Any, secret: str | None = None) -> Json:
        """Make it. Without `secret` the server makes one: it is in `secret` of this answer, and never again."""
        return self._run(_create(self._workspace, spec, secret))

    def rotate_secret(self, name: str, secret: str | None = None, revoke: bool = False) -> Json:
        """Sign with a new secret, given or made; the old one signs beside it for a day, but not with `revoke`."""
        return self._act(name, "rotate-secret", {"secret": secret, "revoke": revoke})

    def test(self, name: str) -> Json:
        """Post a signed ping now: `ok`, `status`, `latency_ms`, `reason`."""
        return self._run(nouns.act(self._workspace, self._plural, name, "test"))


def _create(workspace: str, spec: Any, secret: str | None) -> Flow[Json]:
    document = yield from ready(workspace, spec)
    given = {} if secret is None else {"secret": secret}
    return (yield from send("POST", below(workspace, "webhooks"), {**document, **given}))
