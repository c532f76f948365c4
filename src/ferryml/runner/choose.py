"""Chooses the Python of an environment among those of the image; runs alone, under whatever Python 3.8 is there.

Usage: `PYTHON choose.py WANTED POLICY` with a candidate's path on each line of standard input. Prints the version, the
path and what is to be said about it, a line each; else exits with 3 and prints why. As compile.pythons decides.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    Version = tuple[int, ...]

CLAUSE = re.compile(r"(==|!=|>=|<=|~=|>|<|)\s*(\d+(?:\.\d+)*)(\.\*)?$")
ASK = "import sys, venv; print('%d.%d.%d' % sys.version_info[:3])"


def main(argv: list[str], lines: Iterable[str]) -> int:
    wanted, policy = argv[1], argv[2]
    here: dict[str, str] = {}
    known = set()
    for path in (line.strip() for line in lines):
        real = os.path.realpath(path)
        version = version_of(path) if path and real not in known else ""
        known.add(real)
        if version:
            here.setdefault(version, path)
            if not wanted:
                break
    try:
        version, note = choose(wanted, list(here), policy)
    except ValueError as error:
        print(error)
        return 3
    print("\n".join([version, here[version], note]))
    return 0


def version_of(path: str) -> str:
    try:
        said = subprocess.check_output([path, "-I", "-c", ASK], stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.decode("ascii", "replace").strip()


def choose(wanted: str, here: list[str], policy: str) -> tuple[str, str]:
    """(version, note); ValueError with reason and fix when none fits. The first of `here` is the image's own."""
    if not here:
        raise ValueError("the image has no Python with the module venv. Use an image with Python 3.8 or newer.")
    if not wanted:
        return here[0], ""
    clauses = [clause(piece, wanted) for piece in wanted.split(",")]
    pins = [bound for sign, bound in clauses if sign == "==" and len(bound) > 2]
    known = sorted({parts(version) for version in here}, reverse=True)
    fitting = [version for version in known if all(holds(version, sign, bound) for sign, bound in clauses)]
    if fitting:
        return text(fitting[0]), ""
    same_minor = [version for version in known if any(bound[:2] == version[:2] for bound in pins)]
    if same_minor:
        said = text(same_minor[0])
        return said, f"python {wanted} was asked for; {said} is what the image has"
    if policy == "nearest":
        target = clauses[0][1]
        best = min(known, key=lambda version: (distance(version, target), [-part for part in version]))
        return text(best), f"python {wanted} was asked for; {text(best)} is the nearest that the image has"
    have = ", ".join(map(text, known))
    raise ValueError(
        f"python {wanted} is not in the image (it has: {have}). Use an image that has it, ask for one that this image "
        "has, or set python=nearest on the site."
    )


def clause(piece: str, wanted: str) -> tuple[str, Version]:
    match = CLAUSE.match(piece.strip())
    if match is None:
        raise ValueError(f"python version {wanted!r} cannot be read. Write python=3.11.")
    return match.group(1) or "==", parts(match.group(2))


def holds(version: Version, sign: str, bound: Version) -> bool:
    head = version[: len(bound)]
    return {
        "==": head == bound,
        "!=": head != bound,
        "~=": head >= bound and version[: max(1, len(bound) - 1)] == bound[:-1],
        ">=": version >= bound,
        "<=": head <= bound,
        ">": head > bound,
        "<": head < bound,
    }[sign]


def distance(version: Version, target: Version) -> tuple[int, int]:
    minor = target[1] if len(target) > 1 else 0
    return abs(version[0] - target[0]), abs((version[1] if len(version) > 1 else 0) - minor)


def parts(version: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def text(version: Version) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(sys.argv, sys.stdin))
