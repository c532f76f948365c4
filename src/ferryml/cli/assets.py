"""The verbs that data, models and environments have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ferryml.cli import kit
from ferryml.cli.editing import changes
from ferryml.cli.kit import Edits, Shared

COLUMNS = ("name", "version", "type", "description", "creation_context.created_at")
Archived = Annotated[bool, typer.Option("--include-archived", help="Show archived ones too.")]
ArchivedOnly = Annotated[bool, typer.Option("--archived-only", help="Show archived ones only.")]


@dataclass(kw_only=True)
class Fields(kit.Bundle):
    """Options of create that stand for keys of the file."""

    version: kit.Version = None
    type: Annotated[str | None, typer.Option("--type", "-t", help="Its type; overrides the file's.")] = None
    path: Annotated[str | None, typer.Option("--path", "-p", help="Local path or URI; overrides the file's.")] = None
    description: Annotated[str | None, typer.Option("--description", "-d", help="For people.")] = None
    stage: Annotated[str | None, typer.Option("--stage", hidden=True, help="Of a model.")] = None


def add_verbs(app: typer.Typer, noun: str, attribute: str, load: str) -> None:
    """create, show, list, update, archive, restore (and download where there are files).

    Args:
        attribute: of the client: `models`.
        load: name in `ferryml.sdk.load`, imported when a file is read.
    """
    _create(app, noun, attribute, load)
    _look(app, noun, attribute)
    _change(app, noun, attribute)


def _create(app: typer.Typer, noun: str, attribute: str, load: str) -> None:
    def create(
        shared: Shared, fields: Fields, name: kit.OptionalName = None, file: kit.OptionalFile = None,
        set: kit.Set = None,
    ) -> Any:  # fmt: skip
        given = kit.overrides(
            set, name=name, version=fields.version, type=fields.type, path=here(fields.path),
            description=fields.description, stage=fields.stage,
        )  # fmt: skip
        spec = loader(load)(file, given, warn=shared.talk.warn)
        with shared.talk.busy(f"creating {noun} {spec.name or ''}"):
            return getattr(shared.client, attribute).create(spec)

    create.__doc__ = f"Make a version of a {noun}; without --version the next number."
    kit.verb(app, "create")(create)


def _look(app: typer.Typer, noun: str, attribute: str) -> None:
    def show(
        shared: Shared, name: kit.Name, version: kit.Version = None,
        label: Annotated[str | None, typer.Option("--label", "-l", help="A label, such as latest.")] = None,
    ) -> Any:  # fmt: skip
        return getattr(shared.client, attribute).get(name, chosen(version, label))

    def list_(
        shared: Shared, name: Annotated[str | None, typer.Option("--name", "-n", help="Versions of this one.")] = None,
        max_results: kit.MaxResults = None, include_archived: Archived = False, archived_only: ArchivedOnly = False,
    ) -> Any:  # fmt: skip
        archived = archived_word(include_archived, archived_only)
        return getattr(shared.client, attribute).list(max_results, name=name, archived=archived)

    show.__doc__ = f"Show one version of a {noun}; the latest when none is named."
    list_.__doc__ = f"List every {noun}, newest first."
    kit.verb(app, "show", COLUMNS)(show)
    kit.verb(app, "list", COLUMNS)(list_)


def _change(app: typer.Typer, noun: str, attribute: str) -> None:
    def update(shared: Shared, edits: Edits, name: kit.Name, version: kit.Version = None) -> Any:
        nouns = getattr(shared.client, attribute)
        present = nouns.get(name, chosen(version))
        return nouns.update(name, changes(present, edits), present["version"])

    def archive(shared: Shared, name: kit.Name, version: kit.Version = None) -> None:
        nouns = getattr(shared.client, attribute)
        for each in _versions(nouns, name, version, "no"):
            nouns.archive(name, each)

    def restore(shared: Shared, name: kit.Name, version: kit.Version = None) -> None:
        nouns = getattr(shared.client, attribute)
        for each in _versions(nouns, name, version, "yes"):
            nouns.restore(name, each)

    update.__doc__ = f"Change description, tags, properties or stage of a {noun}; its content never changes."
    archive.__doc__ = f"Hide a {noun} (all its versions when none is named) from lists and @latest."
    restore.__doc__ = f"Show an archived {noun} again."
    for function in (update, archive, restore):
        kit.verb(app, function.__name__)(function)


def add_download(app: typer.Typer, noun: str, attribute: str) -> None:
    """download, for what has files."""

    def download(
        shared: Shared, name: kit.Name, version: kit.Version = None, download_path: kit.DownloadPath = Path(),
    ) -> None:  # fmt: skip
        with shared.talk.busy(f"fetching {noun} {name}"):
            files = getattr(shared.client, attribute).download(name, chosen(version), download_path / name)
        shared.talk.note(f"{len(files)} files in {download_path / name}")

    download.__doc__ = f"Bring the files of a {noun} to DOWNLOAD_PATH/NAME."
    kit.verb(app, "download")(download)


def here(path: str | None) -> str | None:
    """A local path of the command line as an absolute one: the file's folder is not where it starts."""
    from ferryml.sdk.documents import is_local

    return str(Path(path).expanduser().absolute()) if path and is_local(path) else path


def chosen(version: str | None, label: str | None = None) -> str:
    """The version to ask for: as named, by label, or the latest."""
    return version or f"@{(label or 'latest').removeprefix('@')}"


def archived_word(included: bool, only: bool) -> str:
    """What the server calls the choice."""
    return "yes" if only else "any" if included else "no"


def loader(name: str) -> Callable[..., Any]:
    """A function of `ferryml.sdk.load`; the specs behind it take a while to import."""
    from ferryml.sdk import load

    found: Callable[..., Any] = getattr(load, name)
    return found


def _versions(nouns: Any, name: str, version: str | None, archived: str) -> list[str]:
    if version:
        return [version]
    found = [str(thing["version"]) for thing in nouns.list(None, name=name, archived=archived)]
    if not found:
        nouns.get(name)  # says that there is none
    return found
