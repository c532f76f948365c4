"""What .importlinter cannot express of the floor plan."""

import ast
import graphlib
import subprocess
import sys

import grimp
from source import broken, files, place, tree

IMPURE_CALLS = {"open", "print", "input"}
HEAVY = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "obstore", "mlflow", "cryptography"}
HEAVY |= {"jwt", "croniter", "psutil", "uv", "numpy"}
PURE_PATHS = {"PurePath", "PurePosixPath", "PureWindowsPath"}


def imported(path):
    """Every imported module of a file, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "", node.lineno)


def test_no_import_cycles():
    graph = grimp.build_graph("ferryml", exclude_type_checking_imports=True, cache_dir=None)
    sorter = graphlib.TopologicalSorter({m: graph.find_modules_directly_imported_by(m) for m in graph.modules})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise AssertionError("imports in a circle: " + " -> ".join(error.args[1])) from error


def test_the_runner_needs_the_standard_library_alone():
    alien = [
        f"{place(p)}:{line}: {module}"
        for p in files("src/ferryml/runner")
        for module, line in imported(p)
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("ferryml.runner")
    ]
    assert not alien, "\n".join(alien)


def test_domain_and_compile_import_pydantic_and_pure_parts_of_the_standard_library():
    alien = [
        f"{place(p)}:{line}: {module}"
        for p in files("src/ferryml/domain", "src/ferryml/compile")
        for module, line in imported(p)
        if (root := module.split(".")[0]) not in sys.stdlib_module_names and root not in {"pydantic", "ferryml"}
        if root not in {"annotated_types", "pydantic_core", "typing_extensions"}  # pydantic's own parts
    ]
    assert not alien, "\n".join(alien)


def test_domain_and_compile_do_nothing_to_the_world():
    def impure():
        for path in files("src/ferryml/domain", "src/ferryml/compile"):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                    yield place(path), f"line {node.lineno} calls {node.func.id}()"
                if isinstance(node, ast.ImportFrom) and node.module == "pathlib":
                    names = {alias.name for alias in node.names} - PURE_PATHS
                    if names:
                        yield place(path), f"line {node.lineno} imports {', '.join(names)}; only pure paths are pure"

    problems = broken("purity", impure())
    assert not problems, problems


def test_nothing_is_dialled_or_opened_on_import():
    """Importing each module in one fresh process starts no thread and opens no connection."""
    probe = (
        "import pkgutil, socket, threading, importlib, ferryml\n"
        "def refuse(*a): raise SystemExit('a connection was opened on import')\n"
        "socket.socket.connect = refuse\n"
        "for m in ('domain', 'settings', 'compile', 'sdk', 'control', 'runner'):\n"
        "    package = importlib.import_module('ferryml.' + m)\n"
        "    for i in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not i.name.endswith('__main__'): importlib.import_module(i.name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_client_loads_nothing_heavy():
    """`pip install ferryml` brings seven libraries; the client half must import without any other."""
    probe = (
        "import importlib, pkgutil, sys\n"
        f"heavy = {HEAVY!r}\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in heavy: raise ImportError('the client reached for ' + name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        "import ferryml, ferryml.sdk, ferryml.domain\n"
        "for package in (ferryml.sdk, ferryml.domain):\n"
        "    for i in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(i.name)\n"
        "[getattr(ferryml, name) for name in getattr(ferryml, '__all__', [])]\n"
        "try: import ferryml.cli.main\n"
        "except ModuleNotFoundError as e: assert e.name == 'ferryml.cli.main', e\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
