"""`ferry router`: what stands beside HAProxy in the router pods of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import new_app
from ferryml.cli.programs import log_to_stderr, program, settings

app = new_app("Router: what stands beside HAProxy in a cluster.")
Config = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; see docs/settings.md.")]


@kit.verb(app, "sidecar")
def sidecar(config: Config = None) -> None:
    """Make the HAProxy beside us serve the site's table, until told to end."""
    log_to_stderr()
    from ferryml.settings import ClusterSettings, RouterSettings

    cluster = settings(ClusterSettings, {}, config)
    program("ferryml.bootstrap.cluster_router").run_sidecar(
        settings(RouterSettings, {}, config), cluster.system_namespace, cluster.allowed_namespaces()
    )


@kit.verb(app, "tap")
def tap(config: Config = None) -> None:
    """Send copies to shadows and note predictions, until told to end; slow or dead, no request suffers."""
    log_to_stderr()
    from ferryml.settings import RouterSettings

    program("ferryml.bootstrap.cluster_router").run_tap(settings(RouterSettings, {}, config))
