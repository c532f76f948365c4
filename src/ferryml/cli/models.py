"""`ferry model`."""

from __future__ import annotations

from ferryml.cli import assets
from ferryml.cli.kit import new_app

app = new_app("Models with versions.")
assets.add_verbs(app, "model", "models", "load_model")
assets.add_download(app, "model", "models")
