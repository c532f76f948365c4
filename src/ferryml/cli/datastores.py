"""`ferry datastore`."""

from __future__ import annotations

from ferryml.cli import named
from ferryml.cli.kit import new_app

app = new_app("Datastores: places where data lies.")
named.add_create(app, "datastore", "datastores", "load_datastore")
named.add_show(app, "datastore", "datastores", ("name", "type", "site", "zone", "description"))
named.add_update(app, "datastore", "datastores")
named.add_delete(app, "datastore", "datastores")
