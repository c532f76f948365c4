"""What tests of real deployments need: an environment with the real inference server, and a store of files."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferryml.compile.serving import SERVER
from ferryml.compile.tree import tree_bytes, tree_ref
from ferryml.domain.orders import EnvironmentOrder, RevisionOrder, Tree, TreeEntry, TreeRef
from ferryml.domain.seen import EnvSeen


class Shelf:
    """Content-addressed files in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if not self.at(digest).exists():  # whoever reads it now shall not find it empty
            self.at(digest).write_bytes(data)
        return digest

    def at(self, digest: str) -> Path:
        return self.path / digest.removeprefix("sha256:")

    def file(self, name: str, data: bytes) -> TreeRef:
        return TreeRef(digest=self.put(data), kind="file", name=name, size=len(data))

    def tree(self, files: dict[str, str | bytes], name: str = "") -> TreeRef:
        bodies = {path: body.encode() if isinstance(body, str) else body for path, body in files.items()}
        entries = [TreeEntry(path=path, digest=self.put(body), size=len(body)) for path, body in bodies.items()]
        made = Tree(entries=tuple(entries))
        self.put(tree_bytes(made))
        return tree_ref(made, name)


class ReadyMade:
    """Every environment is the same ready interpreter."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.asked: list[EnvironmentOrder] = []

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        self.asked.append(env)

    def environment(self, key: str) -> EnvSeen:
        return EnvSeen(state="ready", python=self.python)


def make_environment(cache: Path, name: str, packages: list[str]) -> str:
    """The interpreter of an environment with `packages`, made once per machine and list."""
    key = hashlib.sha256(repr((sys.version, sorted(packages))).encode()).hexdigest()[:16]
    made = cache / f"{name}-{key}"
    if not (made / "ready").exists():
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        part = cache / f"{name}-{key}.{os.getpid()}"
        subprocess.run([uv, "venv", "-q", "--relocatable", "-p", sys.executable, part], check=True, timeout=60)
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", part / "bin/python", *packages], check=True, timeout=300
        )
        (part / "ready").touch()
        try:
            part.rename(made)
        except OSError:
            shutil.rmtree(part)
    return str(made / "bin/python")


@pytest.fixture(scope="session")
def env_cache() -> Path:
    """Where environments of tests outlive a run."""
    path = Path(os.environ.get("FERRY_TEST_CACHE", Path(__file__).parent.parent / ".cache")) / "serving-envs"
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def server_python(env_cache: Path) -> str:
    """An interpreter that has the real azureml-inference-server-http."""
    return make_environment(env_cache, "server", [SERVER])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def a_revision(shelf: Shelf, score: str, revision: str = "a" * 10, **fields) -> RevisionOrder:
    """A script revision that starts probing at once."""
    probe = {"period": 1, "initial_delay": 1, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}
    made = {
        "revision": revision, "deployment": "blue", "flavor": "script", "code": shelf.tree({"score.py": score}),
        "scoring_script": "score.py", "environment": EnvironmentOrder(key="k"), "liveness": probe, "readiness": probe,
    }  # fmt: skip
    return RevisionOrder(**(made | fields))


def until(true, limit_s: float = 30.0):
    """Wait for `true()`; returns what it said."""
    end = time.monotonic() + limit_s
    while not (said := true()):
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {limit_s} s")
        time.sleep(0.02)
    return said
