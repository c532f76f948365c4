"""From data to specs; what is wrong becomes one error that names file, line, key and the nearest known name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ferryml.domain.error_catalogue import MEANING, Code
from ferryml.domain.errors import Refused
from ferryml.domain.spec.common import Reading, Spec

S = TypeVar("S")
Key = str | int
Path = tuple[Key, ...]


class Place(NamedTuple):
    """Where a value was written; line and column count from 1, and are 0 when it came from a flag."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


Places = Mapping[Path, Place]
"""Path of keys and indexes -> where that key was written; the empty path is the document."""


class Parsed(NamedTuple, Generic[S]):
    """A spec, and what was accepted but will not do what its author may expect."""

    spec: S
    warnings: tuple[str, ...]


def parse(
    kind: type[S] | Any,
    data: object,
    places: Places | None = None,
    locate: Callable[[str], str] | None = None,
) -> Parsed[S]:
    """Read a document of `kind` (a Spec class or a union such as Compute).

    Args:
        places: where each key was written, for messages.
        locate: turns local paths as written into absolute ones; None leaves them.

    Raises:
        Refused: `UnknownField`, `MissingField`, `BadName`, `TrafficInvalid`, ... or `BadValue`; all faults are
            in `details["errors"]`, the first in document order is the code.
    """
    if not isinstance(data, Mapping | Spec):
        at = (places or {}).get((), Place("document"))
        raise Refused("BadYaml", f"{at}: a document must be a mapping of keys, not {_shown(data)}", "Write key: value.")
    reading = Reading(locate=locate)
    try:
        spec = _validator(kind)(dict(data) if isinstance(data, Mapping) else data, context=reading)
    except ValidationError as error:
        raise _refused(kind, error, places or {}) from error
    return Parsed(spec, tuple(reading.warnings))


def _validator(kind: Any) -> Callable[..., Any]:
    # a class brings its validator; only unions such as Compute have theirs made anew
    if isinstance(kind, type) and issubclass(kind, Spec):
        return kind.model_validate
    return TypeAdapter(kind).validate_python


def dotted(path: Path) -> str:
    """`('inputs', 'a', 0)` as `inputs.a[0]`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """The known name most like `word`; empty when none is like it."""
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else ""


class _Fault(NamedTuple):
    place: Place | None
    code: Code
    message: str
    path: str


def _refused(kind: Any, error: ValidationError, places: Places) -> Refused:
    faults = sorted((_fault(kind, detail, places) for detail in error.errors(include_url=False)), key=_order)
    first = faults[0]
    message = "; ".join(f"{fault.place}: {fault.message}" if fault.place else fault.message for fault in faults[:5])
    if len(faults) > 5:
        message += f"; and {len(faults) - 5} more"
    errors = [_as_dict(fault) for fault in faults]
    return Refused(first.code, message, MEANING[first.code][1], {"errors": errors})


def _as_dict(fault: _Fault) -> dict[str, object]:
    where = {"file": fault.place.source, "line": fault.place.line} if fault.place else {}
    return {"code": fault.code, "message": fault.message, "path": fault.path, **where}


def _order(fault: _Fault) -> tuple[int, int]:
    # an unknown key often explains the missing one, so it comes first on a tie
    return (fault.place.line if fault.place else 0, 0 if fault.code == "UnknownField" else 1)


def _fault(kind: Any, detail: ErrorDetails, places: Places) -> _Fault:
    tagged = detail["loc"]
    path: Path = tuple(key for key in tagged if not (isinstance(key, str) and key.startswith("~")))
    if detail["type"] in ("extra_forbidden", "missing") and tagged[-1] != (path or ("",))[-1]:
        # an unknown key may look like a tag of ours
        path = (*path, tagged[-1])
    code, message = _said(kind, detail, path)
    return _Fault(_place(path, places), code, message, dotted(path))


def _said(kind: Any, detail: ErrorDetails, path: Path) -> tuple[Code, str]:
    where = f" at {dotted(path)}" if path else ""
    match detail["type"]:
        case "extra_forbidden":
            known = _known_keys(kind, detail["loc"][:-1])
            near = nearest(str(path[-1]), known)
            guess = f"; did you mean {near!r}?" if near else f"; known here: {', '.join(known)}" if known else ""
            return "UnknownField", f"unknown key {str(path[-1])!r}{_parent(path)}{guess}"
        case "missing":
            return "MissingField", f"{str(path[-1])!r} is missing{_parent(path)}"
        case code if code in MEANING:
            return code, f"{detail['msg']}{where}"
    said = detail["msg"].removeprefix("Input ").split(", unable to parse")[0]
    return "BadValue", f"{dotted(path) or 'the document'}: {said}, not {_shown(detail['input'])}"


def _parent(path: Path) -> str:
    return f" in {dotted(path[:-1])}" if len(path) > 1 else ""


def _place(path: Path, places: Places) -> Place | None:
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def _known_keys(kind: Any, loc: tuple[Key, ...]) -> list[str]:
    candidates = _specs_in(kind)
    for key in loc:
        if isinstance(key, str) and key.startswith("~"):
            named = [spec for spec in candidates if spec.__name__ == key[1:]]
            candidates = named or candidates
        elif isinstance(key, str) and any(key in spec.model_fields for spec in candidates):
            # a field's metadata may hold the union, so the whole field is searched
            candidates = [
                inner
                for spec in candidates
                if key in spec.model_fields
                for inner in _specs_in(spec.model_fields[key].annotation)
            ]
    return sorted({name for spec in candidates for name in spec.model_fields})


def _specs_in(annotation: Any) -> list[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs_in(inner)]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
