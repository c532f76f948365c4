"""`ferry server`: the control plane as a program."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ferryml.cli import kit
from ferryml.cli.kit import single_app
from ferryml.cli.programs import log_to_stderr, program, settings

app = single_app()


@dataclass(kw_only=True)
class Place(kit.Bundle):
    """Where the server keeps things, for every command on a server's memory."""

    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Folder of database, artifacts and key.")] = None
    database_url: Annotated[str | None, typer.Option("--database-url", help="SQLAlchemy URL; else SQLite.")] = None
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of settings; see docs/settings.md.")] = None


@kit.verb(app, "server")
def server(
    place: Place,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port; 0 takes any free one.")] = None,
    public_url: Annotated[str | None, typer.Option("--public-url", help="Address behind a load balancer.")] = None,
) -> None:
    """Run the control plane until it is told to end. Its administrator's token is in STATE_DIR/admin.token."""
    log_to_stderr()
    boot = program("ferryml.bootstrap.server")
    from ferryml.settings.server import ServerSettings

    options = {
        "host": host, "port": port, "public_url": public_url, "state_dir": place.state_dir,
        "database_url": place.database_url,
    }  # fmt: skip
    made = boot.build(settings(ServerSettings, options, place.config))
    signal.signal(signal.SIGTERM, _end)
    (made.settings.state_dir / "url").write_text(made.url + "\n", encoding="utf-8")
    print(f"Ferry's server answers at {made.url}", file=sys.stderr, flush=True)
    made.run()


def _end(number: int, frame: FrameType | None) -> None:
    """A told end is a good end, and leaves time for what is under way."""
    raise SystemExit(0)
