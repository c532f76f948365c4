"""`ferry site`: what IT operations join to the server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit, named, site_manifests
from ferryml.cli.kit import Shared, new_app

app = new_app("Sites: clusters and machines that have joined.")


@kit.verb(app, "create")
def create(
    shared: Shared, name: kit.Name,
    zone: Annotated[str | None, typer.Option("--zone", help="Residency zone; else the name.")] = None,
    set: Annotated[list[str] | None, typer.Option("--set", help="Settings of the site: python=nearest ...")] = None,
) -> Any:  # fmt: skip
    """Name a new site; the answer holds the one-time command that joins it."""
    from ferryml.sdk.overrides import parse_path, value_of

    settings = {str(parse_path(path)[0]): value_of(value) for path, _, value in (s.partition("=") for s in set or ())}
    return shared.client.sites.create({"name": name, "zone": zone or "", "settings": settings})


@kit.verb(app, "token")
def token(shared: Shared, name: kit.Name) -> Any:
    """Make another one-time join token."""
    return shared.client.sites.token(name)


site_manifests.add(app)
named.add_show(app, "site", "sites", ("name", "zone", "state", "backend", "version", "last_seen"))
named.add_update(app, "site", "sites")
named.add_delete(app, "site", "sites")
