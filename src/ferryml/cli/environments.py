"""`ferry environment`."""

from __future__ import annotations

from ferryml.cli import assets
from ferryml.cli.kit import new_app

app = new_app("Environments with versions.")
assets.add_verbs(app, "environment", "environments", "load_environment")
