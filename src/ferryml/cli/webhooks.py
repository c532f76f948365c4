"""`ferry webhook`: who hears what became of an automation."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ferryml.cli import kit, named
from ferryml.cli.assets import loader
from ferryml.cli.editing import changes
from ferryml.cli.kit import Edits, Shared, new_app

COLUMNS = ("name", "phase", "url", "ferry.delivered", "ferry.failed", "ferry.failing.reason", "description")
TRIED = ("ok", "status", "latency_ms", "reason")
Url = Annotated[str | None, typer.Option("--url", help="https address that events are posted to.")]
Secret = Annotated[
    str | None,
    typer.Option("--secret", help="whsec_ and base64 of 24 to 64 bytes, - reads stdin; else the server makes one."),
]
app = new_app("Webhooks: who hears what became of an automation.")


@kit.verb(app, "create")
def create(
    shared: Shared, name: kit.OptionalName = None, file: kit.OptionalFile = None, url: Url = None,
    secret: Secret = None, set: kit.Set = None,
) -> Any:  # fmt: skip
    """Make a webhook. A secret that the server makes is printed now and never again."""
    spec = loader("load_webhook")(file, kit.overrides(set, name=name, url=url), warn=shared.talk.warn)
    return shared.client.webhooks.create(spec, _read(secret))


named.add_show(app, "webhook", "webhooks", COLUMNS)


@kit.verb(app, "update")
def update(shared: Shared, edits: Edits, name: kit.Name, url: Url = None, secret: Secret = None) -> Any:
    """Change a webhook; --set enabled=true also takes up again what its receiver ended with 410."""
    webhooks = shared.client.webhooks
    fields = changes(webhooks.get(name), edits) | ({} if url is None else {"url": url})
    if fields or secret is None:
        webhooks.update(name, fields)
    if secret is not None:
        webhooks.rotate_secret(name, _read(secret))
    return webhooks.get(name)


@kit.verb(app, "rotate-secret")
def rotate_secret(
    shared: Shared, name: kit.Name, secret: Secret = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="The old secret ends at once, not after a day.")] = False,
) -> Any:  # fmt: skip
    """Sign with a new secret; one that the server makes is printed now and never again."""
    return shared.client.webhooks.rotate_secret(name, _read(secret), revoke)


@kit.verb(app, "test", TRIED)
def test(shared: Shared, name: kit.Name) -> Any:
    """Post a signed ping; prints status and latency, and ends with 1 unless the receiver answered 2xx."""
    told = shared.client.webhooks.test(name)
    kit.show(told, shared, TRIED)
    if not told["ok"]:
        raise typer.Exit(1)


named.add_delete(app, "webhook", "webhooks")


def _read(secret: str | None) -> str | None:
    return sys.stdin.readline().strip() if secret == "-" else secret  # noqa: S105 - a dash for stdin, no secret
