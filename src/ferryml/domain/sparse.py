"""What travels says only what is not its default, so that who does not know a field yet can read all that lacks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ferryml.domain.orders import ALWAYS

M = TypeVar("M", bound=BaseModel)
Json = Any
_SAID: Final = object()
_DETAILS = 3
"""Places that are named of what cannot be read."""


def sparse(model: BaseModel) -> dict[str, Json]:
    """As `model_dump(mode="json")` without what is at its default; tags that tell kinds apart stay."""
    told: dict[str, Json] = _without_defaults(model, model.model_dump(mode="json"))
    return told


def sparse_json(model: BaseModel) -> bytes:
    """The same as bytes of a body."""
    return json.dumps(sparse(model), separators=(",", ":"), ensure_ascii=False).encode()


def what_is_known(model: type[M], data: Json) -> M:
    """Reads what is only told for information: fields that this version does not know are passed over.

    Never for orders: to leave a part of one out is to do something else than what was asked. Raises ValidationError.
    """
    return model.model_validate(data, extra="ignore")


def unreadable(error: ValidationError) -> str:
    """In words, which parts of what came are not understood; names and never values."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    parts = list(dict.fromkeys(".".join(map(str, each["loc"])) + _why(each["type"], each["msg"]) for each in found))
    more = f" and {len(parts) - _DETAILS} more" if len(parts) > _DETAILS else ""
    return "; ".join(part[:200] for part in parts[:_DETAILS]) + more


def _why(kind: str, words: str) -> str:
    return "" if kind == "extra_forbidden" else f": {words}"


def _without_defaults(value: Any, told: Json) -> Json:
    if isinstance(value, BaseModel):
        defaults = _defaults(type(value))
        parts = ((name, getattr(value, name)) for name in defaults)
        return {
            name: _without_defaults(part, told[name])
            for name, part in parts
            if defaults[name] is _SAID or part != defaults[name]
        }
    if isinstance(value, Mapping):
        return {key: _without_defaults(part, told[key]) for key, part in zip(told, value.values(), strict=True)}
    if isinstance(value, list | tuple):
        return [_without_defaults(part, each) for part, each in zip(value, told, strict=True)]
    return told


@cache
def _defaults(model: type[BaseModel]) -> Mapping[str, Any]:
    """Name -> default of each field; what must be said whatever it is has none."""
    fields = model.model_fields.items()
    return {
        name: _SAID
        if field.is_required() or ALWAYS in field.metadata or _is_tag(field.annotation)
        else field.get_default(call_default_factory=True)
        for name, field in fields
    }


def _is_tag(annotation: Any) -> bool:
    """Whether it can have one value only, and so says which kind of thing this is."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1
