"""`ferry whoami`: whose token this is."""

from __future__ import annotations

from typing import Any

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app

app = single_app()


@kit.verb(app, "whoami")
def whoami(shared: Shared) -> Any:
    """Show name, role and workspace of the token in use."""
    return shared.client.whoami()
