"""`ferry workspace`."""

from __future__ import annotations

from ferryml.cli import named
from ferryml.cli.kit import new_app

app = new_app("Workspaces: the container of everything.")
named.add_create(app, "workspace", "workspaces", "load_workspace")
named.add_show(app, "workspace", "workspaces", ("name", "display_name", "default_compute", "description"))
named.add_update(app, "workspace", "workspaces")
named.add_delete(app, "workspace", "workspaces")
