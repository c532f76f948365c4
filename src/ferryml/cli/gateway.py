"""`ferry gateway`: the door for bytes of a site that is a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import new_app
from ferryml.cli.programs import log_to_stderr, program, settings

app = new_app("Gateway: what the pods of a cluster talk to.")
Config = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; see docs/settings.md.")]


@kit.verb(app, "run")
def run(config: Config = None) -> None:
    """Run a cluster's gateway until it is told to end; on this machine with KUBECONFIG, or in a pod."""
    log_to_stderr()
    from ferryml.settings import ClusterSettings, SiteSettings

    boot = program("ferryml.bootstrap.cluster_gateway")
    boot.run(settings(SiteSettings, {}, config), settings(ClusterSettings, {}, config))
