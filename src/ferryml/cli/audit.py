"""`ferry audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("seq", "at", "actor", "verb", "subject", "details")
app = new_app("Audit: who changed what.")


@kit.verb(app, "list", COLUMNS)
def list_(
    shared: Shared,
    after: Annotated[int, typer.Option("--after", min=0, help="Only those after this number.")] = 0,
    max_results: kit.MaxResults = 100,
) -> Any:
    """List changes, oldest first."""
    return shared.client.audit(max_results or 100, after)
