"""`ferry lineage`: what something came from, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("source", "relation", "target")
app = new_app("Lineage: what something came from, and what came of it.")


@kit.verb(app, "show", COLUMNS)
def show(
    shared: Shared,
    node: Annotated[str, typer.Option("--node", "-n", help="Such as model:digits:2, data:digits:1, job:NAME.")],
    direction: Annotated[
        Literal["up", "down"], typer.Option("--direction", "-d", help="up: where it came from; down: where it went.")
    ] = "up",
) -> Any:
    """Show the edges around a node."""
    found = shared.client.lineage(node, direction)
    if shared.output == "table" and isinstance(found, dict):
        return found.get("edges") or found.get("items") or found
    return found
