"""The `${{...}}` and `$[[...]]` of commands: found, checked before a job is accepted, rendered on the site."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ferryml.domain.errors import Refused
from ferryml.domain.spec.io import Input, Scalar
from ferryml.domain.spec.job import CommandJob

_EXPRESSION = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
_NAME = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*")
_OPEN, _CLOSE = "$[[", "]]"

Values = Mapping[str, Scalar | None]
"""Name -> value; None or absent: an optional input that was not given."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One `${{...}}`: its dotted name, where it is, and whether it stands inside `$[[...]]`."""

    name: str
    start: int
    end: int
    optional: bool = False


def find(text: str, place: str = "command") -> tuple[Expression, ...]:
    """All expressions of a text; raises Refused `UnresolvedExpression` for one that cannot be read."""
    found = []
    for block in _blocks(text, place):
        for match in _EXPRESSION.finditer(text, block.start, block.end):
            if not _NAME.fullmatch(match[1]):
                raise _unresolved(text, match.start(), place, f"${{{{{match[1]}}}}} is not an expression")
            found.append(Expression(match[1], match.start(), match.end(), block.optional))
    _refuse_leftovers(text, found, place)
    return tuple(found)


def render(command: str, inputs: Values, outputs: Mapping[str, str], name: str = "") -> str:
    """The command with paths and values in place of expressions.

    Args:
        inputs: paths of data, values of literals; None or absent for optional inputs that were not given.
        outputs: paths.
        name: the job's name, for `${{name}}`.

    Raises:
        Refused: `UnresolvedExpression`, naming the place.
    """
    scope: dict[str, Scalar | None] = {f"inputs.{key}": value for key, value in inputs.items()}
    scope |= {f"outputs.{key}": value for key, value in outputs.items()}
    scope |= {f"{key}.path": value for key, value in scope.items()}
    return substitute(command, {"name": name or None, **scope})


def substitute(text: str, scope: Values, place: str = "command") -> str:
    """Put values of dotted names (`inputs.x`, `name`, `trigger.data`) into a text; values are never read again."""
    known = find(text, place)
    pieces: list[str] = []
    for block in _blocks(text, place):
        inside = [e for e in known if block.start <= e.start and e.end <= block.end]
        if block.optional and any(scope.get(e.name) is None for e in inside):
            _close_gap(pieces, text[block.end + len(_CLOSE) :])
        else:
            pieces.append(_fill(text, block, inside, scope, place))
    return "".join(pieces)


def as_text(value: Scalar) -> str:
    """A literal as a command sees it: True, 3, 0.5, or the text itself."""
    return repr(value) if isinstance(value, bool | int | float) else value


def check(job: CommandJob, given: Collection[str] = ()) -> None:
    """Refuse a job whose inputs have no value, or whose expressions name what it does not have.

    Args:
        given: inputs that get their value later, such as from an automation.

    Raises:
        Refused: `MissingField` or `UnresolvedExpression`.
    """
    for key, value in job.inputs.items():
        if isinstance(value, Input) and _absent(value) and not value.optional and key not in given:
            raise Refused("MissingField", f"input {key!r} has no value", "Give it a path, or say optional: true.")
    for text, place in _texts(job):
        for found in find(text, place):
            _check_one(job, found, text, place, given)


def _check_one(job: CommandJob, found: Expression, text: str, place: str, given: Collection[str]) -> None:
    head, _, rest = found.name.partition(".")
    key = rest.removesuffix(".path")
    match head:
        case "inputs" if key in job.inputs:
            value = job.inputs[key]
            absent = isinstance(value, Input) and _absent(value) and key not in given
            if absent and not found.optional:
                why = f"input {key!r} is optional and not given: put what needs it into $[[ ... ]]"
                raise _unresolved(text, found.start, place, why)
        case "inputs":
            raise _unresolved(text, found.start, place, _unknown("input", key, job.inputs))
        case "outputs" if key not in job.outputs:
            raise _unresolved(text, found.start, place, _unknown("output", key, job.outputs))
        case "outputs" | "name" | "default_datastore" | "creation_context":
            pass
        case _:
            raise _unresolved(text, found.start, place, f"${{{{{found.name}}}}} has no meaning in a command job")


def _texts(job: CommandJob) -> Iterator[tuple[str, str]]:
    yield job.command, "command"
    for name, value in job.environment_variables.items():
        yield value, f"environment_variables.{name}"
    for name, output in job.outputs.items():
        if output.path:
            yield output.path, f"outputs.{name}.path"


def _absent(value: Input) -> bool:
    return value.path is None and value.default is None


@dataclass(frozen=True, slots=True)
class _Block:
    """A stretch of text; `optional` when it stood between `$[[` and `]]` (which it leaves out)."""

    start: int
    end: int
    optional: bool


def _blocks(text: str, place: str) -> Iterator[_Block]:
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        end = text.find(_CLOSE, start)
        if end < 0:
            raise _unresolved(text, start, place, "$[[ has no matching ]]")
        if text.find(_OPEN, start + 1, end) >= 0:
            raise _unresolved(text, start, place, "$[[ ... ]] may not hold another $[[")
        yield _Block(at, start, False)
        yield _Block(start + len(_OPEN), end, True)
        at = end + len(_CLOSE)
    yield _Block(at, len(text), False)


def _fill(text: str, block: _Block, inside: list[Expression], scope: Values, place: str) -> str:
    pieces, at = [], block.start
    for found in inside:
        value = scope.get(found.name)
        if value is None:
            raise _unresolved(text, found.start, place, f"${{{{{found.name}}}}} has no value")
        pieces += [text[at : found.start], as_text(value)]
        at = found.end
    return "".join([*pieces, text[at : block.end]])


def _close_gap(pieces: list[str], after: str) -> None:
    """Leave one blank where `a $[[x]] b` stood; never join words, never cross a line."""
    if pieces and (not after or after[0].isspace()):
        kept = pieces[-1].rstrip(" \t")
        # a backslash before the blanks would come to escape what follows
        pieces[-1] = pieces[-1] if kept.endswith("\\") else kept


def _refuse_leftovers(text: str, found: list[Expression], place: str) -> None:
    starts = {expression.start for expression in found}
    for match in re.finditer(r"\$\{\{", text):
        if match.start() not in starts:
            raise _unresolved(text, match.start(), place, "${{ has no matching }} or holds no name")


def _unknown(noun: str, key: str, known: Mapping[str, object]) -> str:
    have = ", ".join(sorted(known)) or "none"
    return f"there is no {noun} {key!r}; the job has: {have}"


def _unresolved(text: str, at: int, place: str, why: str) -> Refused:
    line = text.count("\n", 0, at) + 1
    where = f"{place}, line {line}" if "\n" in text else place
    hint = "Declare it, or correct the name."
    return Refused("UnresolvedExpression", f"{where}: {why}", hint, {"place": place, "line": line, "at": at})


def bind(job: CommandJob, inputs: Mapping[str, Input | Scalar], scope: Values) -> CommandJob:
    """The job with some inputs given anew, such as by an automation.

    Args:
        inputs: input -> value; a text may hold expressions, and becomes the path where the job declares data.
        scope: dotted names that those expressions may use, such as `trigger.data`.

    Raises:
        Refused: `UnresolvedExpression` for names outside the scope, `UnknownField` for inputs the job does not declare.
    """
    bound = dict(job.inputs)
    for key, value in inputs.items():
        if key not in bound:
            raise Refused("UnknownField", _unknown("input", key, job.inputs), "Declare the input in the job.")
        bound[key] = _bound(bound[key], value, scope, f"inputs.{key}")
    return job.model_copy(update={"inputs": bound})


def _bound(declared: Input | Scalar, value: Input | Scalar, scope: Values, place: str) -> Input | Scalar:
    if isinstance(value, Input):
        given = {"path": value.path and substitute(value.path, scope, place)}
        return value.model_copy(update=given)
    known = substitute(value, scope, place) if isinstance(value, str) else value
    if isinstance(declared, Input):
        return declared.model_copy(update={"default" if declared.is_literal else "path": known})
    return known
