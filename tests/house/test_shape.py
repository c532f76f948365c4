"""The numbers of the house: files, functions and parameters stay small."""

import ast
import re

from source import FUNCTION, broken, comments, files, has_docstring, named, place, tree

OURS = ("src", "scripts", "benchmarks")
LINES, CODE_LINES, PARAMETERS = 400, 60, 7


def functions(*folders):
    for path in files(*folders):
        for name, node in named(tree(path)):
            if isinstance(node, FUNCTION):
                yield path, name, node


def code_lines(path, node):
    body = node.body[1:] if has_docstring(node) else node.body
    if not body:
        return 0
    text = path.read_text().splitlines()
    return sum(
        bool(line) and not line.startswith("#")
        for line in (raw.strip() for raw in text[body[0].lineno - 1 : node.end_lineno])
    )


def test_every_file_is_python():
    for path in files(*OURS, "tests", "examples"):
        compile(path.read_text(), place(path), "exec")


def test_files_are_at_most_400_lines():
    counted = ((place(p), len(p.read_text().splitlines())) for p in files(*OURS, "tests", "examples"))
    problems = broken("lines per file", ((at, f"{n} lines") for at, n in counted if n > LINES))
    assert not problems, problems


def test_functions_are_at_most_60_lines_of_code():
    counted = ((place(p, name), code_lines(p, node)) for p, name, node in functions(*OURS))
    problems = broken("code lines per function", ((at, f"{n} lines") for at, n in counted if n > CODE_LINES))
    assert not problems, problems


def test_functions_take_at_most_7_parameters():
    def counted():
        for path, name, node in functions(*OURS):
            a = node.args
            every = [*a.posonlyargs, *a.args, *a.kwonlyargs]
            number = sum(x.arg not in ("self", "cls") for x in every)
            yield place(path, name), number

    problems = broken("parameters", ((at, f"{n} parameters") for at, n in counted() if n > PARAMETERS))
    assert not problems, problems


def test_modules_say_why_they_exist():
    silent = [place(p) for p in files(*OURS) if not (ast.get_docstring(tree(p)) or "").strip()]
    assert not silent, "no docstring:\n" + "\n".join(silent)


def test_code_is_not_kept_in_comments():
    code = re.compile(r"#\s*(?:import \w|from \w+ import|def \w+\(|return \w+$|if .*:$|print\()")
    dead = [
        f"{place(p)}:{line}: {text}" for p in files(*OURS) for line, text in comments(p).items() if code.match(text)
    ]
    assert not dead, "\n".join(dead)
