"""From a pydantic model to the structural schema that a CustomResourceDefinition wants: no references, no nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
FREE: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_KEPT = ("description", "enum", "pattern", "format", "minItems", "maxItems", "minLength", "maxLength")
_MOST_DEEP = 20


def structural(model: type[BaseModel]) -> Schema:
    """The schema of a model as it is written (aliases, what is read in); free JSON stays free.

    Defaults are left out: our own programs know them, and the API server shall not write them into documents.
    """
    whole = model.model_json_schema(by_alias=True, mode="validation")
    return _converted(whole, whole.get("$defs", {}), 0)


def _converted(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int) -> Schema:
    if depth > _MOST_DEEP:
        return dict(FREE)
    if "$ref" in schema:
        found = known[schema["$ref"].rsplit("/", 1)[-1]]
        said = {"description": schema["description"]} if "description" in schema else {}
        return _converted({**found, **said}, known, depth + 1)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _choice(schema, schema[word], known, depth)
    kept = _plain(schema)
    kind = kept.get("type")
    if kind == "object" and "properties" in schema:
        kept["properties"] = {name: _converted(item, known, depth + 1) for name, item in schema["properties"].items()}
        if schema.get("required"):
            kept["required"] = list(schema["required"])
    elif kind == "object":
        inner = schema.get("additionalProperties")
        if isinstance(inner, Mapping) and inner:
            kept["additionalProperties"] = _converted(inner, known, depth + 1)
        else:
            kept |= FREE
    elif kind == "array":
        items = schema.get("items")
        kept["items"] = _converted(items, known, depth + 1) if isinstance(items, Mapping) and items else dict(FREE)
    elif kind is None:
        return {**kept, **FREE}
    return kept


def _plain(schema: Mapping[str, Any]) -> Schema:
    kept = {key: schema[key] for key in _KEPT if key in schema}
    if "description" in kept:
        kept["description"] = " ".join(str(kept["description"]).split())
    if "const" in schema:
        kept["enum"] = [schema["const"]]
    if "type" in schema:
        kept["type"] = schema["type"]
    if schema.get("type") == "integer":
        kept["format"] = "int64"
    for word in ("Minimum", "Maximum"):
        bound = schema.get(word.lower(), schema.get(f"exclusive{word}"))
        if bound is not None:
            kept[word.lower()] = bound
            if f"exclusive{word}" in schema:
                kept[f"exclusive{word}"] = True
    return kept


def _choice(schema: Mapping[str, Any], options: list[Any], known: Mapping[str, Any], depth: int) -> Schema:
    """X or null is X that may be null; number or text is Kubernetes' int-or-string; other choices stay free."""
    real = [option for option in options if option.get("type") != "null"]
    said = {"description": " ".join(schema["description"].split())} if schema.get("description") else {}
    if len(real) == 1:
        made = {**_converted(real[0], known, depth + 1), **said}
        return {**made, "nullable": True} if len(real) < len(options) else made
    kinds = {option.get("type") for option in real}
    if kinds <= {"string", "integer", "number"}:
        return {**said, "x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    return {**said, **FREE}
