"""The verbs that things with a name, but without versions, have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from ferryml.cli import kit
from ferryml.cli.assets import loader
from ferryml.cli.editing import changes
from ferryml.cli.kit import Edits, Shared


def add_show(app: typer.Typer, noun: str, attribute: str, columns: Sequence[str]) -> None:
    """show and list."""

    def show(shared: Shared, name: kit.Name) -> Any:
        return getattr(shared.client, attribute).get(name)

    show.__doc__ = f"Show one {noun}."
    kit.verb(app, "show", columns)(show)
    add_list(app, noun, attribute, columns)


def add_list(app: typer.Typer, noun: str, attribute: str, columns: Sequence[str]) -> None:
    """list."""

    def list_(shared: Shared, max_results: kit.MaxResults = None) -> Any:
        return getattr(shared.client, attribute).list(max_results)

    list_.__doc__ = f"List every {noun}."
    kit.verb(app, "list", columns)(list_)


def add_create(app: typer.Typer, noun: str, attribute: str, load: str) -> None:
    """create from a file, or from --set alone."""

    def create(
        shared: Shared, name: kit.OptionalName = None, file: kit.OptionalFile = None, set: kit.Set = None,
        no_wait: kit.NoWait = False,
    ) -> Any:  # fmt: skip
        spec = loader(load)(file, kit.overrides(set, name=name), warn=shared.talk.warn)
        return getattr(shared.client, attribute).create(spec)

    create.__doc__ = f"Make a {noun}."
    kit.verb(app, "create")(create)


def add_update(app: typer.Typer, noun: str, attribute: str) -> None:
    """update with --set, --add and --remove."""

    def update(shared: Shared, edits: Edits, name: kit.Name, no_wait: kit.NoWait = False) -> Any:
        nouns = getattr(shared.client, attribute)
        return nouns.update(name, changes(nouns.get(name), edits))

    update.__doc__ = f"Change a {noun}; what never changes is refused."
    kit.verb(app, "update")(update)


def add_delete(app: typer.Typer, noun: str, attribute: str, word: str = "delete") -> None:
    """delete, or what it is called here."""

    def delete(shared: Shared, name: kit.Name, yes: kit.Yes = False, no_wait: kit.NoWait = False) -> None:
        kit.confirm(yes, f"{word.capitalize()} {noun} {name}?")
        getattr(shared.client, attribute).delete(name)

    delete.__doc__ = f"{word.capitalize()} a {noun}; prints nothing."
    kit.verb(app, word)(delete)
