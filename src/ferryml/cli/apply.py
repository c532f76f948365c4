"""`ferry apply`: make what files describe, showing the difference before it acts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.kit import Shared, single_app
from ferryml.domain.errors import Refused

app = single_app()
COLUMNS = ("kind", "name", "action", "changes")


@kit.verb(app, "apply", COLUMNS)
def apply(
    shared: Shared,
    file: Annotated[Path, typer.Option("--file", "-f", help="YAML file, or a folder of them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, and change nothing.")] = False,
    no_wait: kit.NoWait = False,
) -> Any:
    """Make or change everything that the files describe; running it twice is running it once.

    What a document of the folder uses (a conda file, a job of an automation, a folder of code) is part of it, and no
    document by itself unless it says kind:. A job or rollout without a name is started each time.
    """
    from ferryml.cli.applying import carry_out, direct, directs, planned
    from ferryml.sdk.folders import load_files

    folder = load_files(files(file))
    for part, user in folder.parts.items():
        shared.talk.note(f"{part}: part of {user}")
    plans = []
    for one, path in sorted(folder.documents, key=lambda pair: _rank(pair[0].kind)):
        for warning in one.warnings:
            shared.talk.warn(f"{path}: {warning}")
        plans.append(planned(shared.client, one.kind, one.spec))
    if not shared.asked:
        for plan in plans:
            print("\n".join(plan.lines()))
        sys.stdout.flush()
    if not dry_run:
        # shares of traffic need deployments that are ready
        wait = not no_wait or any(map(directs, plans))
        for plan in plans:
            carry_out(shared, plan, wait)
        for plan in filter(directs, plans):
            direct(shared, plan, wait=not no_wait)
    return [plan.row() for plan in plans] if shared.asked else None


def files(path: Path) -> list[Path]:
    """The file, or every YAML document file of the folder and the folders in it, by name."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in (".yml", ".yaml") and _visible(file, path))
    if not found:
        raise Refused("FileNotFound", f"{path} has no .yml or .yaml file", "Name another folder, or a file.")
    return found


def _visible(file: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(root).parts)


def _rank(kind: str) -> int:
    from ferryml.sdk.kinds import KINDS

    return list(KINDS).index(kind)
