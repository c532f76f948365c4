"""What an answer predicts, and whether two predictions are the same: for mirrors and for labels."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

Json = Any


class Likeness(NamedTuple):
    """How alike two answers are, from the strictest measure to the mildest."""

    exact: bool
    """Byte for byte."""
    equal: bool
    """As JSON, but for rounding."""
    label: bool
    """They predict the same; without a single prediction: as `equal`."""


DIFFERENT = Likeness(False, False, False)
_MISSING = object()
_NAMES = ("predictions", "result", "prediction", "label", "output")


def parse(body: bytes | str) -> Json:
    """The JSON in `body`; raises ValueError (also for NaN and for nesting too deep to read)."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def prediction(body: bytes | str) -> Json:
    """The one scalar an answer predicts: a JSON scalar, a list of one, `{"predictions": [x]}` or `{"result": [x]}`.

    Raises ValueError when there is none, or more than one.
    """
    found = _scalar(parse(body))
    if found is _MISSING:
        raise ValueError("not a single prediction")
    return found


def same_label(predicted: Json, label: Json) -> bool:
    """Equal as JSON, as numbers (`3`, `3.0`, `"3"`) or as text."""
    if isinstance(predicted, bool) or isinstance(label, bool):
        return _text(predicted) == _text(label)
    if predicted == label:
        return True
    left, right = _number(predicted), _number(label)
    if left is not None and right is not None:
        return left == right
    return _text(predicted) == _text(label)


def close(left: Json, right: Json, tolerance: float = 1e-6) -> bool:
    """Equal JSON but for rounding: numbers may differ by `tolerance`, relative or absolute."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(close(a, b, tolerance) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(close(left[key], right[key], tolerance) for key in left)
    return bool(left == right)


def compare(live: bytes, copy: bytes) -> Likeness:
    """Of the answer that the caller got and the one to its copy."""
    if live == copy:
        return Likeness(True, True, True)
    try:
        left, right = parse(live), parse(copy)
        equal = close(left, right)
    except (ValueError, RecursionError):
        return DIFFERENT
    one, other = _scalar(left), _scalar(right)
    if one is _MISSING or other is _MISSING:
        return Likeness(False, equal, equal)
    return Likeness(False, equal, equal or same_label(one, other))


def _scalar(value: Json) -> Json:
    if isinstance(value, dict):
        named = [value[name] for name in _NAMES if name in value]
        if len(named) != 1:
            return _MISSING
        value = named[0]
    if isinstance(value, list):
        if len(value) != 1:
            return _MISSING
        value = value[0]
    return value if isinstance(value, str | int | float | bool) else _MISSING


def _number(value: Json) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: Json) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
