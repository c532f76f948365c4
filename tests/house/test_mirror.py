"""Every room answers for itself: src/ferryml/a/b.py has tests/a/test_b.py."""

import ast

from source import DEFINITION, FUNCTION, ROOT, broken, files, place, tree


def speaks(path):
    """Whether a module has code that the outside may use; ports and plain records have nothing to run."""
    if path.name in ("__init__.py", "__main__.py"):
        return False
    public = [node for node in tree(path).body if isinstance(node, DEFINITION) and not node.name.startswith("_")]
    return any(isinstance(node, FUNCTION) and does_something(node) for top in public for node in ast.walk(top))


def does_something(function):
    """A body beyond docstring, `...` and `pass`."""
    return any(
        not isinstance(step, ast.Pass) and not (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in function.body
    )


def mirror(path):
    inside = path.relative_to(ROOT / "src" / "ferryml")
    return ROOT / "tests" / inside.parent / f"test_{inside.stem.lstrip('_')}.py"


def test_each_module_has_its_test():
    missing = ((place(p), f"has no {place(mirror(p))}") for p in files("src") if speaks(p) and not mirror(p).exists())
    problems = broken("mirror", missing)
    assert not problems, problems


def test_each_test_file_tests_something():
    empty = [
        place(p)
        for p in files("tests")
        if p.name.startswith("test_")
        and not any(
            isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and n.name.lower().startswith("test")
            for n in ast.walk(tree(p))
        )
    ]
    assert not empty, "\n".join(empty)


def test_test_names_are_unique_within_a_file():
    twice = []
    for path in files("tests"):
        names = [n.name for n in tree(path).body if isinstance(n, DEFINITION) and n.name.startswith("test")]
        twice += [f"{place(path)}: {name}" for name in {n for n in names if names.count(n) > 1}]
    assert not twice, "the later one hides the earlier:\n" + "\n".join(twice)


def test_every_example_is_run_by_a_test():
    told = (ROOT / "README.md").read_text().split("## Quickstart")[1].split("\n## ")[0]  # typed by test_quickstart.py
    told += "".join(path.read_text() for path in files("tests/system", "tests/system_kubernetes"))
    idle = [folder.name for folder in sorted((ROOT / "examples").iterdir()) if f"examples/{folder.name}/" not in told]
    assert not idle, f"no test runs {idle}"
