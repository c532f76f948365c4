"""`ferry data`."""

from __future__ import annotations

from ferryml.cli import assets
from ferryml.cli.kit import new_app

app = new_app("Data assets: files and folders with versions.")
assets.add_verbs(app, "data", "data", "load_data")
assets.add_download(app, "data", "data")
