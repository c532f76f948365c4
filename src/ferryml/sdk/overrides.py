"""--set and params_override: a document changed before anyone has read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ferryml.domain.errors import Refused
from ferryml.domain.parse import Key, Place, dotted
from ferryml.domain.parse import Path as KeyPath
from ferryml.domain.spec.values import WrittenFloat
from ferryml.sdk.documents import Document

_STEP = re.compile(r"""([^.\[\]"]+)|\[(\d+)\]|\["([^"]+)"\]""")

Override = str | Mapping[str, Any]
"""`a.b[0].c=v` as of --set, or a mapping of such paths to values as of params_override."""


def override(document: Document, overrides: Iterable[Override]) -> Document:
    """Apply --set and params_override in order; raises Refused `BadValue` for paths that cannot be set."""
    for one in overrides:
        pairs = [_split(one)] if isinstance(one, str) else list(one.items())
        for path, value in pairs:
            document = set_value(document, path, value)
    return document


def set_value(document: Document, path: str, value: Any) -> Document:
    """A document with one value changed; missing mappings on the way are made, a reference string is not entered."""
    keys = parse_path(path)
    data = _with(document.data, keys, value, path)
    kept = {at: place for at, place in document.positions.items() if at[: len(keys)] != keys}
    return replace(document, data=data, positions={**kept, keys: Place(f"--set {path}")})


def parse_path(path: str) -> KeyPath:
    """`a.b[0].c` as keys and indexes; `["a.b"]` is a key with a dot in it."""
    keys: list[Key] = []
    at = 0
    while at < len(path):
        if keys and path[at] == ".":
            at += 1
        found = _STEP.match(path, at)
        if not found:
            break
        keys.append(int(found[2]) if found[2] else found[1] or found[3])
        at = found.end()
    if not keys or at != len(path) or path.endswith("."):
        raise Refused("BadValue", f"{path!r} is not a path of keys", "Write it like resources.instance_count.")
    return tuple(keys)


def value_of(text: str) -> Any:
    """A value as written after `=`: JSON where it is JSON, else the text."""
    try:
        return json.loads(text, parse_float=WrittenFloat, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def _split(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals:
        raise Refused("BadValue", f"--set {text!r} has no '='", "Write --set path.to.key=value.")
    return path.strip(), value_of(value)


def _with(data: Any, keys: KeyPath, value: Any, path: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(data, str):
        raise Refused(
            "BadValue",
            f"--set {path}: {dotted(keys)!r} is inside the reference {data[:100]!r}, which cannot be changed",
            "Set the whole reference, or write the thing inline.",
        )
    if isinstance(key, int):
        return _with_item(data, key, rest, value, path)
    if data is not None and not isinstance(data, Mapping):
        raise Refused("BadValue", f"--set {path}: there is no key {key!r} in {_kind(data)}", "See what the file holds.")
    return {**(data or {}), key: _with((data or {}).get(key), rest, value, path)}


def _with_item(data: Any, index: int, rest: KeyPath, value: Any, path: str) -> list[Any]:
    items = [] if data is None else data
    if not isinstance(items, list) or index > len(items):
        raise Refused("BadValue", f"--set {path}: there is no item {index} in {_kind(data)}", "Items count from 0.")
    old = items[index] if index < len(items) else None
    return [*items[:index], _with(old, rest, value, path), *items[index + 1 :]]


def _kind(data: Any) -> str:
    return "a list" if isinstance(data, Sequence) else "a mapping" if isinstance(data, Mapping) else repr(data)
