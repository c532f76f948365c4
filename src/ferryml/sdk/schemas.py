"""JSON Schemas for editors, one a kind, made from the specs: `python -m ferryml.sdk.schemas schemas/`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from ferryml.domain.spec.common import READ_ONLY, Spec
from ferryml.domain.spec.values import NoneIsEmpty, OneOrMany
from ferryml.sdk.kinds import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_OLD_FORMS: Mapping[str, Mapping[str, Schema]] = {
    "CommandJob": {
        "compute": {
            "type": "object",
            "properties": {
                "target": {"type": "string"},
                "instance_type": {"type": "string"},
                "instance_count": {"type": "integer"},
            },
            "additionalProperties": False,
            "deprecated": True,
        },
        "code": {"type": "object", "properties": {"local_path": {"type": "string"}}, "deprecated": True},
    },
    "CodeConfiguration": {
        "code": {"type": "object", "properties": {"local_path": {"type": "string"}}, "deprecated": True},
    },
    "Environment": {
        "docker": {"type": "object", "properties": {"image": {"type": "string"}}, "deprecated": True},
    },
    "Input": {"value": {"description": "Another word for default."}},
    "RolloutPlan": {"endpoint": {"type": "string", "description": "One endpoint, instead of endpoints."}},
    "Rollout": {"endpoint": {"type": "string", "description": "One endpoint, instead of endpoints."}},
}
"""Forms that only validators know: spec class -> key -> what it may also be."""

_WRITTEN: Mapping[str, str] = {
    "integer": r"^\s*[-+]?[0-9_]+\s*$",
    "number": r"^\s*[-+]?[0-9_.]+([eE][-+]?[0-9]+)?\s*$",
    "boolean": r"^\s*([Tt]rue|[Ff]alse|TRUE|FALSE|yes|no|on|off|[Yy]es|[Nn]o|0|1)\s*$",
}
"""Quoted numbers and booleans are understood."""


_BOUNDS: Mapping[str, str] = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""What pydantic calls the bounds of a choice of types -> what JSON Schema calls them."""


def schemas() -> dict[str, Schema]:
    """File name -> schema, for every kind."""
    return {f"{kind}.schema.json": schema_of(kind) for kind in KINDS}


def schema_of(kind: str) -> Schema:
    """The schema of one kind, a key of KINDS."""
    made = TypeAdapter(KINDS[kind]).json_schema(mode="validation")
    classes = {spec.__name__: spec for spec in _classes(KINDS[kind])}
    top = [spec.__name__ for spec in _top(KINDS[kind])]
    for name, node in [*made.get("$defs", {}).items(), (top[0], made)]:
        if name in classes and "properties" in node:
            _open(node, classes[name], is_top=name in top)
    return {"$schema": DIALECT, "$id": f"{kind}.schema.json", **_plain(made)}


def write(folder: Path) -> list[Path]:
    """Write every schema into `folder`; gives the files back."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in schemas().items():
        file = folder / name
        file.write_text(rendered(schema), encoding="utf-8")
        written.append(file)
    return written


def rendered(schema: Schema) -> str:
    """The schema as its file holds it."""
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _open(node: Schema, spec: type[Spec], is_top: bool) -> None:
    """Let a schema accept what validators of its spec accept."""
    properties = node["properties"]
    for name, field in spec.model_fields.items():
        if NoneIsEmpty in field.metadata or OneOrMany in field.metadata:
            properties[name] = _or(properties[name], {"type": "null"})
        if OneOrMany in field.metadata:
            properties[name] = _or(properties[name], _item(properties[name]))
    for key, form in _OLD_FORMS.get(spec.__name__, {}).items():
        properties[key] = _or(properties[key], form) if key in properties else form
    for key in READ_ONLY | spec.read_only:
        properties.setdefault(key, {"readOnly": True, "description": "Dropped when read."})
    if is_top:
        properties.setdefault("kind", {"type": "string", "description": "For files that say no verb: the kind."})
        # -n and --endpoint-name may give them
        node["required"] = [key for key in node.get("required", []) if key != "name"]


def _or(node: Schema, other: Schema) -> Schema:
    outer: Schema = {key: node[key] for key in ("description", "default", "title") if key in node}
    inner = {key: value for key, value in node.items() if key not in outer}
    choices = inner["anyOf"] if set(inner) == {"anyOf"} else [inner]
    return {**outer, "anyOf": [*choices, other]}


def _item(node: Schema) -> Schema:
    arrays = [one for one in node.get("anyOf", [node]) if one.get("type") == "array"]
    items: Schema = arrays[0].get("items", {}) if arrays else {}
    return items


def _plain(node: Any) -> Any:
    """Shorter, and with quoted numbers and booleans allowed."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    keep = ("default", "enum", "const")
    # a property may itself be called title; pydantic's own are texts
    made = {
        _BOUNDS.get(key, key): value if key in keep else _plain(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }
    kind = made.get("type")
    if isinstance(kind, str) and kind in _WRITTEN:
        return {**made, "type": [kind, "string"], "pattern": _WRITTEN[kind]}
    choices = [one.get("type") if isinstance(one, dict) else None for one in node.get("anyOf", [])]
    if "string" in choices and all(isinstance(one, str) for one in choices) and all(len(o) == 1 for o in node["anyOf"]):
        rest = {key: value for key, value in made.items() if key != "anyOf"}
        return {**rest, "type": sorted(set(choices))}
    return made


def _top(kind: Any) -> list[type[Spec]]:
    if isinstance(kind, type) and issubclass(kind, Spec):
        return [kind]
    return [spec for inner in get_args(kind) for spec in _top(inner)]


def _classes(kind: Any, seen: set[type] | None = None) -> Iterator[type[Spec]]:
    seen = set() if seen is None else seen
    for spec in _top(kind):
        if spec not in seen:
            seen.add(spec)
            yield spec
            for field in spec.model_fields.values():
                yield from _classes(field.annotation, seen)


if __name__ == "__main__":
    for file in write(Path(sys.argv[1] if len(sys.argv) > 1 else "schemas")):
        print(file)
