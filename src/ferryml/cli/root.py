"""The group of all words: each word's module is imported when the word is used."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ferryml.cli.catalogue import BY_WORD, ENTRIES
from ferryml.domain.errors import Refused

_MISUSE: type[Any] = typer.BadParameter.__mro__[1]
_ANY_MISUSE: type[Any] = typer.BadParameter.__mro__[2]
"""UsageError and ClickException; Typer does not export them, whichever Click it stands on."""


class Words(TyperGroup):
    """Commands by the catalogue."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every word, in the order of the catalogue."""
        return [entry.word for entry in ENTRIES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a word, imported now; None for an unknown one."""
        return command(cmd_name) if cmd_name in BY_WORD else None


def command(word: str) -> Any:
    """The command of a word of the catalogue."""
    module = importlib.import_module(f"ferryml.cli.{BY_WORD[word].module}")
    made: Any = typer.main.get_command(module.app)
    made.name = word
    return made


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ferry {version('ferryml')}")
        raise typer.Exit


def group() -> Any:
    """The whole command line."""
    app = typer.Typer(cls=Words, no_args_is_help=True, rich_markup_mode=None, add_completion=True)

    @app.callback()
    def root(
        show: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    ) -> None:
        """Train and serve models on any site you join."""

    return typer.main.get_command(app)


def run(args: Sequence[str]) -> Any:
    """Run a command line; returns its exit code, if it set one. Raises Refused(Usage) for what cannot be read."""
    try:
        return group().main(list(args), prog_name="ferry", standalone_mode=False)
    except typer.Abort:
        return 1
    except _MISUSE as error:
        raise _usage(error) from error
    except _ANY_MISUSE as error:
        raise Refused("Usage", error.format_message()) from error


def _usage(error: Any) -> Refused:
    ctx = error.ctx
    message = error.format_message() or str(error)
    if type(error).__name__ == "NoArgsIsHelpError":
        message = "a command is missing"
    return Refused("Usage", message, f"See `{ctx.command_path} --help`." if ctx else "See `ferry --help`.")
