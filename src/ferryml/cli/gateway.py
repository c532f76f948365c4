"""`ferry gateway`: the door for bytes of a site that is a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app
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


@kit.verb(app, "logs", ("workspace", "job", "path", "size"))
def logs(
    shared: Shared,
    job: Annotated[str | None, typer.Argument(help="A job's or endpoint's name; else all are listed.")] = None,
    path: Annotated[str | None, typer.Option("--path", "-p", help="Print this one; else list them.")] = None,
    config: Config = None,
) -> Any:
    """Read logs that stay on this site: run it where the gateway's state is, as its user; it asks no server."""
    from ferryml.sdk.client import stdout_bytes
    from ferryml.settings import ClusterSettings, SiteSettings

    boot = program("ferryml.bootstrap.kept_logs")
    kept = boot.kept_logs(settings(SiteSettings, {}, config), settings(ClusterSettings, {}, config))
    if job is None or path is None:
        return kept.list(shared.workspace_name or "", job or "")
    for piece in kept.read(shared.workspace_name or "default", job, path):
        stdout_bytes(piece)
    return None
