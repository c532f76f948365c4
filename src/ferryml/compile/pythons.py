"""Chooses the Python of an environment among those that a site has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ferryml.domain.errors import Refused

Version = tuple[int, ...]

_CLAUSE = re.compile(r"(==|!=|>=|<=|~=|>|<|)\s*(\d+(?:\.\d+)*)(\.\*)?")


@dataclass(frozen=True, slots=True)
class Choice:
    """The version taken, and what is to be said about it (empty when it is what was asked for)."""

    version: str
    note: str = ""


def choose_python(wanted: str, here: Iterable[str], policy: Literal["exact", "nearest"]) -> Choice:
    """The best of `here` for `wanted` (`3.11`, `3.8.5`, `>=3.9,<3.12`; not empty).

    A wanted patch version is a wish: another one of the same minor version is taken, and said. With `nearest` the
    closest minor version is taken when none fits, the newer one of two as close.

    Raises:
        Refused: EnvironmentFailed with the fix when none fits.
    """
    clauses = _clauses(wanted)
    known = sorted({_parts(version) for version in here}, reverse=True)
    fitting = [version for version in known if all(_holds(version, sign, bound) for sign, bound in clauses)]
    if fitting:
        return Choice(_text(fitting[0]))
    same_minor = [version for version in known if any(bound[:2] == version[:2] for _, bound in _pins(clauses))]
    if same_minor:
        return Choice(
            _text(same_minor[0]), f"python {wanted} was asked for; {_text(same_minor[0])} is what the site has"
        )
    have = ", ".join(_text(version) for version in known) or "none"
    if policy == "nearest" and known:
        target = clauses[0][1]
        best = min(known, key=lambda version: (_distance(version, target), [-part for part in version]))
        return Choice(_text(best), f"python {wanted} was asked for; {_text(best)} is the nearest that the site has")
    raise Refused(
        "EnvironmentFailed",
        f"python {wanted} is not on this site (it has: {have})",
        f"Install Python {wanted} on the site, ask for one that it has, or set python=nearest on the site.",
        {"wanted": wanted, "have": have},
    )


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version is what was asked for, patch level apart; an empty wish always holds."""
    clauses = _clauses(wanted) if wanted else []
    parts = _parts(version)
    pinned = [bound for _, bound in _pins(clauses)]
    return all(_holds(parts, sign, bound) for sign, bound in clauses) or any(b[:2] == parts[:2] for b in pinned)


def _clauses(wanted: str) -> list[tuple[str, Version]]:
    found = []
    for piece in wanted.split(","):
        match = _CLAUSE.fullmatch(piece.strip())
        if match is None:
            raise Refused("EnvironmentFailed", f"python version {wanted!r} cannot be read", "Write python=3.11.")
        found.append((match[1] or "==", _parts(match[2])))
    return found


def _pins(clauses: list[tuple[str, Version]]) -> list[tuple[str, Version]]:
    return [(sign, bound) for sign, bound in clauses if sign == "==" and len(bound) > 2]


def _holds(version: Version, sign: str, bound: Version) -> bool:
    head = version[: len(bound)]
    match sign:
        case "==":
            return head == bound
        case "!=":
            return head != bound
        case "~=":
            return head >= bound and version[: max(1, len(bound) - 1)] == bound[:-1]
        case ">=":
            return version >= bound
        case "<=":
            return head <= bound
        case ">":
            return head > bound
        case _:
            return head < bound


def _distance(version: Version, target: Version) -> tuple[int, int]:
    minor = target[1] if len(target) > 1 else 0
    return abs(version[0] - target[0]), abs((version[1] if len(version) > 1 else 0) - minor)


def _parts(version: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _text(version: Version) -> str:
    return ".".join(map(str, version))
