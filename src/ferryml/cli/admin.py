"""`ferry admin`: a server's whole memory, saved and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import new_app
from ferryml.cli.programs import program, settings
from ferryml.cli.server import Place

app = new_app("Admin: a server's whole memory, saved and brought back.")


@kit.verb(app, "backup")
def backup(place: Place, target: Annotated[Path, typer.Argument(help="Folder, or .tar file, to make.")]) -> Any:
    """Save database, artifacts and encryption key while the server goes on."""
    state, made = _memory(place)
    manifest = made.backup(state, target, _dice().now())
    return {"target": str(target), "members": len(manifest.members), "bytes": sum(m.size for m in manifest.members)}


@kit.verb(app, "restore")
def restore(
    place: Place,
    source: Annotated[Path, typer.Argument(help="What `backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace what this server has.")] = False,
) -> Any:
    """Check a backup and put it in place; the server must be down. Sites relist afterwards."""
    state, made = _memory(place)
    manifest = made.restore(state, source, _dice().id(), replace)
    return {"source": str(source), "made_at": manifest.made_at.isoformat(), "members": len(manifest.members)}


@kit.verb(app, "key")
def key() -> None:
    """Print a new key file, for the Secret that several replicas of a server share; see the chart ferry-server."""
    print(program("ferryml.bootstrap.keys").new_key_file())


def _memory(place: Place) -> tuple[Any, Any]:
    boot, made = program("ferryml.bootstrap.state"), program("ferryml.store.backup")
    from ferryml.settings.server import ServerSettings

    options = {"state_dir": place.state_dir, "database_url": place.database_url}
    return boot.memory(settings(ServerSettings, options, place.config)), made


def _dice() -> Any:
    return program("ferryml.bootstrap.dice").SystemDice()
