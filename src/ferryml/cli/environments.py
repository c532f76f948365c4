"""`ferry environment`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ferryml.cli import assets, kit
from ferryml.cli.jobs import COLUMNS, follow
from ferryml.cli.kit import Shared, new_app
from ferryml.domain.seen import ENVIRONMENT_LOG

app = new_app("Environments with versions.")
assets.add_verbs(app, "environment", "environments", "load_environment")


@kit.verb(app, "build", COLUMNS)
def build(
    shared: Shared, name: kit.Name,
    compute: Annotated[str, typer.Option("--compute", "-c", help="Compute on whose site it is built.")],
    version: kit.Version = None, no_wait: kit.NoWait = False,
) -> Any:  # fmt: skip
    """Build the image ahead (or prepare the packages, where it has no `build:`) and print the log."""
    job = shared.client.environments.build(name, assets.chosen(version), compute)
    if no_wait:
        return job
    return follow(shared, job["name"], ENVIRONMENT_LOG)
