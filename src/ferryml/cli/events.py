"""`ferry event`: what happened in a workspace."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("seq", "at", "verb", "subject", "details")
app = new_app("Events: what happened in a workspace.")


@kit.verb(app, "list", COLUMNS)
def list_(
    shared: Shared,
    subject: Annotated[str | None, typer.Option("--subject", help="Such as job:NAME.")] = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Only those after this number.")] = 0,
    max_results: kit.MaxResults = 100,
) -> Any:
    """List events, oldest first."""
    return shared.client.events(after, subject, max_results or 100)
