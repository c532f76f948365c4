"""The commands as one page, read from the commands themselves, for docs/cli.md."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any

from ferryml.cli.catalogue import ENTRIES
from ferryml.cli.root import command

SHARED = ("--workspace-name", "--resource-group", "--context", "--output", "--query", "--only-show-errors", "--debug")


def markdown() -> str:
    """Every command with its arguments and options, in the order of `ferry --help`."""
    shared = dict(_records(command("job").commands["show"], "ferry job show"))
    text = ["# Command line", "`ferry COMMAND --help` shows the same.", "## Options of nearly every command"]
    text += [_table([(name, words) for name, words in shared.items() if _is_shared(name)])]
    group = ""
    for entry in ENTRIES:
        if importlib.util.find_spec(f"ferryml.cli.{entry.module}") is None:
            continue
        if entry.group != group:
            group = entry.group
            text.append(f"## {group}")
        text += _pages(command(entry.word), f"ferry {entry.word}", entry.help)
    return "\n\n".join(text)


def _pages(one: Any, path: str, summary: str) -> Iterator[str]:
    words = getattr(one, "commands", None)
    yield f"### {path}"
    yield _plain(one.help) or summary
    if words is None:
        yield from _own(one, path)
        return
    for word in sorted(words):
        yield from _pages(words[word], f"{path} {word}", words[word].get_short_help_str(200))


def _own(one: Any, path: str) -> Iterator[str]:
    context = one.context_class(one, info_name=path)
    yield f"```\n{' '.join([path, *one.collect_usage_pieces(context)])}\n```"
    if rows := [(name, words) for name, words in _records(one, path) if not _is_shared(name)]:
        yield _table(rows)


def _records(one: Any, path: str) -> list[tuple[str, str]]:
    context = one.context_class(one, info_name=path)
    found = (parameter.get_help_record(context) for parameter in one.get_params(context))
    return [record for record in found if record and not record[0].startswith("--help")]


def _is_shared(name: str) -> bool:
    return any(word.strip(",") in SHARED for word in name.split())


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(
        ["| option | |", "| --- | --- |", *(f"| `{_cell(name)}` | {_cell(text)} |" for name, text in rows)]
    )


def _plain(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\f", "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
