"""Reads the checkout for the house tests."""

import ast
import fnmatch
import functools
import io
import subprocess
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from exemptions import EXEMPTIONS

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITION = (*FUNCTION, ast.ClassDef)


def files(*folders: str) -> list[Path]:
    """Python files below the folders, in order; the demo's user code is data, not ours."""
    found = (p for folder in folders for p in (ROOT / folder).rglob("*.py"))
    return sorted(p for p in found if "demo/project/" not in p.as_posix())


def place(path: Path, name: str = "") -> str:
    """`src/ferryml/x.py`, or `src/ferryml/x.py:function`."""
    return path.relative_to(ROOT).as_posix() + (f":{name}" if name else "")


@functools.cache
def tree(path: Path) -> ast.Module:
    """The parsed file; one that does not parse is empty here and named by test_shape."""
    try:
        return ast.parse(path.read_text(), str(path))
    except SyntaxError:
        return ast.Module([], [])


@functools.cache
def comments(path: Path) -> dict[int, str]:
    """Line number -> the comment on that line."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}


def named(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every function and class below a node with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITION):
            name = f"{prefix}{child.name}"
            yield name, child
            yield from named(child, f"{name}.")
        else:
            yield from named(child, prefix)


def has_docstring(node: ast.AST) -> bool:
    """Whether the body starts with one."""
    return ast.get_docstring(node, clean=False) is not None


def exempt(rule: str, where: str) -> str | None:
    """The reason why a place is exempt from a rule."""
    for pattern, reason in EXEMPTIONS[rule].items():
        if fnmatch.fnmatchcase(where, pattern):
            return reason
    return None


def broken(rule: str, where: Iterable[tuple[str, str]]) -> str:
    """One line for each place that breaks the rule and is not exempt; empty when the house is in order."""
    return "\n".join(f"{at}: {what}" for at, what in where if not exempt(rule, at))


@functools.cache
def tracked() -> list[Path]:
    """What git tracks, or what it would when everything here were added."""
    if not (ROOT / ".git").exists():
        return sorted(p for p in ROOT.rglob("*") if p.is_file() and not {".venv", ".cache"} & set(p.parts))
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    return sorted({ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()})
