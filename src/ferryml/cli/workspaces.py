"""`ferry workspace`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit, named
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("name", "display_name", "default_compute", "description")
app = new_app("Workspaces: the container of everything.")
named.add_create(app, "workspace", "workspaces", "load_workspace")


@kit.verb(app, "show", COLUMNS)
def show(
    shared: Shared,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Its name; else the present one.")] = None,
) -> Any:
    """Show a workspace, by default the one that commands work in."""
    return shared.client.workspaces.get(name or shared.client.workspace)


named.add_list(app, "workspace", "workspaces", COLUMNS)
named.add_update(app, "workspace", "workspaces")
named.add_delete(app, "workspace", "workspaces")


@kit.verb(app, "rotate-token-key")
def rotate_token_key(
    shared: Shared, name: kit.OptionalName = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="End the old key now: all tokens that are out become void.")
    ] = False,
) -> Any:  # fmt: skip
    """Sign tokens of endpoints (auth_mode aml_token) with a new key; what was signed before opens until it expires."""
    return shared.client.workspaces.rotate_token_key(name or shared.client.workspace, revoke)
