"""`ferry alias`: names of elsewhere, and what they mean in this workspace."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app
from ferryml.domain.errors import NotFound

app = new_app("Aliases: names of elsewhere, and what they mean here.")
Table = Annotated[Literal["compute", "environment", "image"], typer.Option("--type", "-t", help="Which table.")]
From = Annotated[str, typer.Option("--name", "-n", help="The name as documents write it; * and ? match.")]


@kit.verb(app, "list")
def list_(shared: Shared) -> Any:
    """Show the workspace's alias tables."""
    return shared.client.aliases()


@kit.verb(app, "set")
def set_(
    shared: Shared, name: From, to: Annotated[str, typer.Option("--to", help="What it stands for.")],
    type: Table = "compute",
) -> Any:  # fmt: skip
    """Let a name stand for something else."""
    tables = dict(shared.client.aliases())
    tables[type] = {**(tables.get(type) or {}), name: to}
    return shared.client.set_aliases(tables)


@kit.verb(app, "delete")
def delete(shared: Shared, name: From, type: Table = "compute") -> None:
    """Forget an alias; prints nothing."""
    tables = dict(shared.client.aliases())
    table = dict(tables.get(type) or {})
    if name not in table:
        raise NotFound("NotFound", f"there is no {type} alias {name!r}", "See `ferry alias list`.")
    del table[name]
    shared.client.set_aliases({**tables, type: table})
