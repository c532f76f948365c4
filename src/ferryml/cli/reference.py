"""docs/cli.md, written from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ferryml.cli.catalogue import ENTRIES
from ferryml.cli.kit import Shared
from ferryml.cli.root import command

_COMMON = frozenset(field.name for field in fields(Shared))


def markdown() -> str:
    """The whole reference."""
    return "\n".join(_document()) + "\n"


def _document() -> Iterator[str]:
    yield "# Command line\n"
    yield "Verbs, options and formats are those of `az ml` v2 where they do the same. Options may be shortened as long"
    yield "as they stay unambiguous (`--endpoint` for `--endpoint-name`).\n"
    yield "| exit code | means |\n| --- | --- |\n| 0 | done |\n| 1 | refused by the server, or the work failed |"
    yield "| 2 | the command line or a document is wrong |\n| 3 | unavailable: try again later |"
    yield "| 4 | a defect of Ferry |\n| 130 | interrupted |\n"
    yield "Every command takes:\n"
    yield from _options([param for param in command("whoami").params if param.name in _COMMON])
    group = ""
    for entry in ENTRIES:
        if entry.group != group:
            group = entry.group
            yield f"## {group}\n"
        made = command(entry.word)
        yield f"### ferry {entry.word}\n\n{entry.help}\n"
        verbs = getattr(made, "commands", None)
        if verbs is None:
            yield from _one(made, entry.word)
        else:
            for name, verb in verbs.items():
                if not verb.hidden:
                    yield f"#### ferry {entry.word} {name}\n"
                    yield from _one(verb, f"{entry.word} {name}")


def _one(made: Any, path: str) -> Iterator[str]:
    yield " ".join((made.help or "").split()) + "\n"
    arguments = " ".join(str(param.name).upper() for param in made.params if param.param_type_name == "argument")
    if arguments:
        yield f"`ferry {path} {arguments}`\n"
    yield from _options([param for param in made.params if param.name not in _COMMON])


def _options(params: list[Any]) -> Iterator[str]:
    shown = [param for param in params if param.param_type_name == "option" and not param.hidden]
    if not shown:
        return
    yield "| option | what for |\n| --- | --- |"
    for param in shown:
        names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=lambda name: (-len(name), name)))
        required = " (needed)" if param.required else ""
        yield f"| {names} | {(param.help or '').replace('|', '&#124;')}{required} |"
    yield ""
