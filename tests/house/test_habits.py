"""Habits that a linter does not know: where imports, broad excepts and silenced warnings may stand."""

import ast
import re

from source import FUNCTION, broken, comments, files, named, place, tree

BROAD = {"Exception", "BaseException"}
SILENCERS = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:\s*no cover|nosec|pylint:)(?P<rest>.*)")
REASON = re.compile(r"[^\w]*(?:[A-Z]+[0-9]+[,\s]*)*(?:\[[\w\-, ]*\])?\s*(?P<reason>.*)")


def test_imports_stand_at_the_top():
    def hidden():
        for path in files("src", "scripts", "benchmarks"):
            for name, node in named(tree(path)):
                if isinstance(node, FUNCTION):
                    for inner in ast.walk(node):
                        if isinstance(inner, ast.Import | ast.ImportFrom):
                            yield place(path, name), f"imports in line {inner.lineno}"

    problems = broken("imports inside functions", hidden())
    assert not problems, problems


def test_broad_excepts_are_few_and_give_their_reason():
    def broad():
        for path in files("src", "scripts", "benchmarks"):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ExceptHandler) and catches_all(node.type) and not raises_again(node):
                    yield place(path), f"line {node.lineno} catches everything"

    problems = broken("broad except", broad())
    assert not problems, problems
    silent = [
        f"{place(p)}:{node.lineno}"
        for p in files("src", "scripts", "benchmarks")
        for node in ast.walk(tree(p))
        if isinstance(node, ast.ExceptHandler) and catches_all(node.type) and not raises_again(node)
        if not comments(p).get(node.lineno)
    ]
    assert not silent, "say on the line why everything is caught:\n" + "\n".join(silent)


def catches_all(caught):
    every = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(e is None or (isinstance(e, ast.Name) and e.id in BROAD) for e in every)


def raises_again(handler):
    """Tidying up on the way out is no swallowing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_what_is_silenced_says_why():
    def silent():
        for path in files("src", "scripts", "benchmarks", "tests", "examples"):
            for line, text in comments(path).items():
                found = SILENCERS.search(text)
                if found and len(REASON.match(found["rest"])["reason"].strip(" -#:")) < 8:
                    yield f"{place(path)}:{line}: {text}"

    problems = list(silent())
    assert not problems, "give the reason on the same line:\n" + "\n".join(problems)


def test_silenced_types_name_their_error():
    bare = [
        f"{place(p)}:{line}"
        for p in files("src", "scripts")
        for line, text in comments(p).items()
        if re.search(r"type:\s*ignore(?!\[)", text)
    ]
    assert not bare, "write type: ignore[code]:\n" + "\n".join(bare)


def test_unit_tests_do_not_sleep():
    def sleeping():
        for path in files("tests"):
            at = place(path)
            if not path.name.startswith("test_") or at.startswith(("tests/contract/", "tests/system")):
                continue  # helpers wait for real servers
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep"):
                    if node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0:
                        continue  # asyncio.sleep(0) gives way, it does not wait
                    yield at, f"line {node.lineno} sleeps"

    problems = broken("sleeping unit test", sleeping())
    assert not problems, problems


def test_our_own_code_is_never_mocked():
    mocked = [
        f"{place(p)}:{node.lineno}"
        for p in files("tests")
        for node in ast.walk(tree(p))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any("mock" in (n or "").split(".") for n in [getattr(node, "module", ""), *(a.name for a in node.names)])
    ]
    assert not mocked, "fakes are shipped in ferryml.testing, mocks are not used:\n" + "\n".join(mocked)
