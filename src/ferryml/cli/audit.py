"""`ferry audit`: who changed what."""

from __future__ import annotations

from typing import Any

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app

COLUMNS = ("at", "actor", "caller", "verb", "subject", "details")
app = new_app("Audit: who changed what.")


@kit.verb(app, "list", COLUMNS)
def list_(shared: Shared, max_results: kit.MaxResults = 100) -> Any:
    """List changes, newest first."""
    return shared.client.audit(max_results or 100)
