"""What a command answers, as scripts and people want it: json, jsonc, yaml, tsv, table or nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import jmespath
from jmespath.exceptions import JMESPathError

from ferryml.domain.errors import Refused

FORMATS = ("json", "jsonc", "tsv", "table", "yaml", "yamlc", "none")
LONGEST = 80
"""Characters of a cell of a table."""


def queried(value: Any, query: str | None) -> Any:
    """The part of an answer that a JMESPath expression picks. Raises Refused(Usage) for a broken one."""
    if not query:
        return value
    try:
        return jmespath.search(query, value)
    except JMESPathError as error:
        raise Refused("Usage", f"--query {query!r}: {error}", "See https://jmespath.org for the language.") from error


def written(value: Any, form: str, columns: Sequence[str] = (), terminal: bool = False) -> str:
    """The text of an answer, with its last newline.

    Args:
        form: one of FORMATS.
        columns: keys that a table shows, dotted for what lies deeper; empty: every key with a plain value.
        terminal: whether a person reads it (colours, frames).
    """
    match form:
        case "none":
            return ""
        case "tsv":
            return "".join(f"{row}\n" for row in _tsv(value))
        case "table":
            return _table(value, columns, terminal)
        case "yaml" | "yamlc":
            return _yaml(value)
        case "jsonc" if terminal:
            return _coloured(_json(value))
    return _json(value)


def write(text: str, stream: TextIO) -> None:
    """Out with it."""
    stream.write(text)
    stream.flush()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def _yaml(value: Any) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="safe")
    writer.default_flow_style = False
    writer.allow_unicode = True
    text = io.StringIO()
    writer.dump(json.loads(_json(value)), text)
    return text.getvalue().removesuffix("...\n")


def yaml_documents(values: Sequence[Any]) -> str:
    """Several documents, as `kubectl apply -f -` reads them."""
    return "".join(f"---\n{_yaml(value)}" for value in values)


def _tsv(value: Any) -> list[str]:
    rows = value if isinstance(value, list) else [value]
    return [_tsv_row(row) for row in rows]


def _tsv_row(row: Any) -> str:
    if isinstance(row, Mapping):
        return "\t".join(_tsv_cell(cell) for cell in row.values())
    if isinstance(row, list):
        return "\t".join(_tsv_cell(cell) for cell in row)
    # az writes a boolean by itself in lower case, and one in a row as Python does
    return str(row).lower() if isinstance(row, bool) else str(row)


def _tsv_cell(cell: Any) -> str:
    if isinstance(cell, list):
        return str(len(cell))
    if isinstance(cell, Mapping):
        return ""
    return str(cell)


def _table(value: Any, columns: Sequence[str], terminal: bool) -> str:
    rows = value if isinstance(value, list) else [value]
    if not rows or value is None:
        return ""
    if not all(isinstance(row, Mapping) for row in rows):
        columns, rows = (), [{"result": row} for row in rows]
    shown = [*(columns or _plain_keys(rows))]
    shown = [key for key in shown if any(_at(row, key) is not None for row in rows)] or _plain_keys(rows)
    heads = [key.rsplit(".", 1)[-1].replace("_", " ").capitalize() for key in shown]
    cells = [[_cell(_at(row, key)) for key in shown] for row in rows]
    return _framed(heads, cells) if terminal else _aligned(heads, cells)


def _plain_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key, cell in row.items() if not isinstance(cell, dict | list))
    return list(keys)


def _at(row: Any, path: str) -> Any:
    for key in path.split("."):
        row = row.get(key) if isinstance(row, Mapping) else None
    return row


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = " ".join(f"{key}={inner}" for key, inner in value.items())
    elif isinstance(value, list):
        value = ", ".join(str(inner) for inner in value)
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _aligned(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *cells]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in padded)


def _framed(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _coloured(text: str) -> str:
    from rich.console import Console
    from rich.syntax import Syntax

    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(Syntax(text, "json", background_color="default"), soft_wrap=True)
    return captured.get()
