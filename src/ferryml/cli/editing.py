"""--set, --add and --remove on what exists: which fields of a resource change, and to what."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryml.cli.kit import Edits
from ferryml.domain.errors import Refused


def changes(present: Mapping[str, Any], edits: Edits) -> dict[str, Any]:
    """The top-level fields that the edits change, with their new values. Raises Refused(BadValue)."""
    from ferryml.sdk.documents import Document
    from ferryml.sdk.overrides import parse_path, set_value

    document = Document(dict(present), {}, Path.cwd() / "-")
    touched: dict[str, None] = {}
    for text in edits.set or ():
        path, value = _pair(text, "--set", edits.force_string)
        document = set_value(document, path, value)
        touched[str(parse_path(path)[0])] = None
    for text in edits.add or ():
        path, *parts = text.split("\x1f")
        document = set_value(document, path, _added(_at(document.data, path), parts, path, edits.force_string))
        touched[str(parse_path(path)[0])] = None
    for text in edits.remove or ():
        path, *index = text.split("\x1f")
        document = Document(_without(document.data, path, index), {}, document.path)
        touched[str(parse_path(path)[0])] = None
    return {key: document.data.get(key) for key in touched}


def _pair(text: str, option: str, as_text: bool) -> tuple[str, Any]:
    from ferryml.sdk.overrides import value_of

    path, equals, value = text.partition("=")
    if not equals:
        raise Refused("BadValue", f"{option} {text!r} has no '='", f"Write {option} path.to.key=value.")
    return path.strip(), value if as_text else value_of(value)


def _added(present: Any, parts: list[str], path: str, as_text: bool) -> Any:
    from ferryml.sdk.overrides import value_of

    if not parts:
        raise Refused("BadValue", f"--add {path} has nothing to add", "Write --add PATH KEY=VALUE or --add PATH VALUE.")
    pairs = dict(_pair(part, "--add", as_text) for part in parts if "=" in part)
    plain = [part if as_text else value_of(part) for part in parts if "=" not in part]
    if present is None or isinstance(present, list):
        return [*(present or []), *plain, *([pairs] if pairs else [])]
    if isinstance(present, Mapping) and not plain:
        return {**present, **pairs}
    raise Refused("BadValue", f"--add {path}: there is neither a list nor a mapping", "Use --set.")


def _at(data: Any, path: str) -> Any:
    from ferryml.sdk.overrides import parse_path

    for key in parse_path(path):
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _without(data: Any, path: str, index: list[str]) -> Any:
    from ferryml.sdk.overrides import parse_path

    keys: list[Any] = [*parse_path(path), *(int(i) if i.isdigit() else i for i in index)]
    made = copy.deepcopy(data)
    place = made
    try:
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]
    except (KeyError, IndexError, TypeError) as error:
        raise Refused("BadValue", f"--remove {path}: there is no such thing", "See what show prints.") from error
    return made
