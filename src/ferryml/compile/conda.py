"""Reads conda dependency lines and says what they are called, and pinned to, on PyPI."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ferryml.compile.conda_names import is_not_python, pypi_name, skip_reason
from ferryml.domain.errors import Refused

_NAME = re.compile(r"^(?:[\w./:-]+::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?P<rest>.*)$")
_BRACKETS = re.compile(r"\[(?:.*?)version\s*=\s*(?P<quote>['\"])(?P<version>.*?)(?P=quote).*\]$")
_VERSION = re.compile(r"^[0-9][A-Za-z0-9.!+_]*(?:\.\*|\*)?$")


@dataclass(frozen=True)
class CondaSpec:
    """One dependency line: `name` in lower case, `version` as a PEP 440 specifier ("" = any)."""

    name: str
    version: str


@dataclass(frozen=True)
class Mapped:
    """What a list of conda lines became: PyPI requirement lines, and what was left out and why."""

    lines: tuple[str, ...]
    notes: tuple[str, ...]


def parse_spec(line: str) -> CondaSpec:
    """Reads `numpy`, `numpy=1.2`, `numpy==1.2`, `numpy=1.2.*`, `numpy=1.2=py39_0`, `numpy>=1,<2`, `numpy 1.2.*`,
    `conda-forge::numpy`, `numpy[version='>=1']`.

    Raises:
        Refused: BadValue for a line that is none of these.
    """
    text = line.split("#", 1)[0].strip()
    match = _NAME.match(text)
    if match is None:
        raise Refused("BadValue", f"conda dependency {line!r} cannot be read", "Write NAME or NAME=VERSION.")
    rest = match["rest"].strip()
    brackets = _BRACKETS.match(rest)
    version = brackets["version"] if brackets else rest
    try:
        return CondaSpec(match["name"].lower(), pep440(version))
    except ValueError:
        raise Refused(
            "BadValue", f"conda dependency {line!r}: the version cannot be read", "Write NAME=1.2 or NAME>=1.2,<2."
        ) from None


def pep440(version: str) -> str:
    """A conda version constraint as PEP 440; ValueError when there is no equivalent (such as `1.2|1.4`)."""
    text = version.strip()
    if text in {"", "*", "=*"}:
        return ""
    if "|" in text:
        raise ValueError(text)
    if not text.startswith(("<", ">", "!", "~", "==")):
        return _fuzzy(text)
    return ",".join(_clause(part.strip()) for part in text.split(","))


def map_lines(lines: tuple[str, ...]) -> Mapped:
    """PyPI requirement lines for conda dependency lines, in order and without repeats.

    Raises:
        Refused: EnvironmentFailed naming every package that has no counterpart.
    """
    found: dict[str, str] = {}
    notes: list[str] = []
    unmapped: list[str] = []
    for spec in map(parse_spec, lines):
        target = pypi_name(spec.name)
        if target is not None:
            found[target] = f"{target}{spec.version}"
        elif (reason := skip_reason(spec.name)) is not None:
            notes.append(f"conda package {spec.name} left out: {reason}")
        else:
            unmapped.append(f"{spec.name} (not a Python package)" if is_not_python(spec.name) else spec.name)
    if unmapped:
        raise Refused(
            "EnvironmentFailed",
            f"no PyPI counterpart is known for the conda package(s): {', '.join(unmapped)}",
            "Move Python packages under `- pip:` with their PyPI name; bring other programs with the machine.",
            {"packages": unmapped},
        )
    return Mapped(tuple(found.values()), tuple(notes))


def _fuzzy(text: str) -> str:
    body = text.removeprefix("=").strip()
    pieces = re.split(r"[=\s]+", body)
    if len(pieces) > 2 or not _VERSION.match(pieces[0]):
        if "," in body:
            return ",".join(_clause(part.strip()) for part in body.split(","))
        raise ValueError(text)
    version = pieces[0]
    if len(pieces) == 2 and pieces[1] != "*":
        return f"=={_starred(version)}"
    if version.endswith("*"):
        return f"=={_starred(version)}"
    exact = text.startswith("=") is False
    return f"=={version}" if exact else f"=={version}.*"


def _clause(part: str) -> str:
    match = re.match(r"^(==|!=|~=|>=|<=|>|<|=)?\s*([0-9][A-Za-z0-9.!+_*]*)$", part)
    if match is None or not _VERSION.match(match[2]):
        raise ValueError(part)
    sign, version = match[1] or "==", match[2]
    if sign == "=":
        return f"=={version}" if version.endswith("*") else f"=={version}.*"
    if sign in {"==", "!="}:
        return f"{sign}{_starred(version)}"
    if sign == "~=" and "." not in version:
        return f">={version}"
    return f"{sign}{version.rstrip('*').rstrip('.')}"


def _starred(version: str) -> str:
    """`1.2*` and `1.2.*` both mean the prefix 1.2."""
    return f"{version.rstrip('*').rstrip('.')}.*" if version.endswith("*") else version
