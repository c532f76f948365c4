"""`ferry login`: a server and a token, remembered under a name."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app

app = single_app()


@kit.verb(app, "login")
def login(
    shared: Shared,
    url: Annotated[str, typer.Option("--url", help="Address of the server.")],
    token: Annotated[
        str | None, typer.Option("--token", help="Else FERRY_TOKEN, or asked for; `-` reads standard input.")
    ] = None,
    name: Annotated[str, typer.Option("--name", "-n", help="What to call it.")] = "default",
    ca_bundle: Annotated[Path | None, typer.Option("--ca-bundle", help="PEM file of the server's authority.")] = None,
) -> Any:
    """Check a token against its server, and remember both for the commands that follow."""
    from ferryml.sdk.client import Client
    from ferryml.sdk.config import Contexts
    from ferryml.sdk.sending import Target

    secret = _secret(token)
    bundle = ca_bundle.absolute() if ca_bundle else None
    with Client(target=Target(url.rstrip("/"), secret, bundle)) as client:
        who = client.whoami()
    saved = Contexts.read(os.environ)
    entry = {"url": url.rstrip("/"), "token": secret}
    place = shared.workspace_name or str(who.get("workspace") or "")
    if place and place != "*":
        entry["workspace"] = place
    if bundle:
        entry["ca_bundle"] = str(bundle)
    saved.contexts[name], saved.current = entry, name
    saved.save()
    shared.talk.note(f"logged in to {url} as {who.get('name')} ({who.get('role')}); context {name}")


def _secret(token: str | None) -> str:
    if token == "-":  # noqa: S105 - a dash for standard input, not a secret
        return sys.stdin.readline().strip()
    found = token or os.environ.get("FERRY_TOKEN")
    if found is None and sys.stdin.isatty():
        found = str(typer.prompt("Token", hide_input=True, err=True))
    return str(kit.need(found, "--token"))
