"""Python environments of a site: solved once, locked, and installed from the lock into a folder per lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferryml.backends.local.processes import mention
from ferryml.backends.local.uv import Uv, own_python
from ferryml.compile.environment import lock_answers, lock_python, lock_text, pypi_requirements
from ferryml.compile.pythons import Choice, choose_python, satisfies
from ferryml.domain.errors import FerryError
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.seen import EnvSeen
from ferryml.settings.site import SiteSettings

READY = "ready.json"
KEEP = 30
"""Environments kept when nothing uses them; the least recently used go first."""


@dataclass
class LocalEnvironments:
    """Shared by jobs and serving. Layout below `root`/envs: `keys/KEY.json` names `venvs/HASH`, whole once it holds
    ready.json (a virtual environment cannot be moved, so it is built in place under a file lock).
    """

    root: Path
    settings: SiteSettings
    _seen: dict[str, EnvSeen] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._folder = self.root.resolve() / "envs"
        for name in ("keys", "venvs", "locks"):
            (self._folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turns = threading.Semaphore(self.settings.parallel_preparations)

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        """Starts making it in the background; a failed one is tried again."""
        if self.environment(env.key).state in ("making", "ready"):
            return
        with self._lock:
            if self._seen.get(env.key, EnvSeen()).state == "making":
                return
            self._seen[env.key] = EnvSeen(state="making", progress="waiting for another preparation")
        threading.Thread(target=self._work, args=(env,), name=f"environment {env.key[:8]}", daemon=True).start()

    def environment(self, key: str) -> EnvSeen:
        with self._lock:
            seen = self._seen.get(key)
            if seen is None or (seen.state == "ready" and not Path(seen.python).exists()):
                seen = self._from_disk(key)
                if seen.state == "absent":
                    self._seen.pop(key, None)
                else:
                    self._seen[key] = seen
            return seen

    def used(self, key: str) -> None:
        """Remembers that it was needed now."""
        python = self.environment(key).python
        ready = Path(python).parents[1] / READY if python else None
        if ready is not None and ready.exists():
            os.utime(ready)

    def prune(self, keep: int = KEEP) -> int:
        """Removes the least recently used environments beyond `keep` in which nothing runs; returns how many."""
        venvs = [path for path in (self._folder / "venvs").iterdir() if (path / READY).exists()]
        venvs.sort(key=lambda path: (path / READY).stat().st_mtime, reverse=True)
        doomed = [path for path in venvs[keep:] if not mention(str(path))]
        for path in doomed:
            with self._guard(path.name):
                (path / READY).unlink()
                shutil.rmtree(path, ignore_errors=True)
        return len(doomed)

    def _work(self, env: EnvironmentOrder) -> None:
        seen = EnvSeen(state="failed", code="Internal", message="a defect in Ferry; the site's log has the details")
        with self._turns:
            try:
                seen = self._make(env)
            except FerryError as error:
                hint = f" {error.hint}" if error.hint else ""
                seen = EnvSeen(state="failed", code="EnvironmentFailed", message=f"{error.message}.{hint}")
            except OSError as error:
                seen = EnvSeen(
                    state="failed", code="EnvironmentFailed", message=f"on the site's disk: {error.strerror}"
                )
            with self._lock:
                self._seen[env.key] = seen
        if seen.state == "ready":
            self.prune()

    def _say(self, env: EnvironmentOrder, progress: str) -> None:
        with self._lock:
            self._seen[env.key] = EnvSeen(state="making", progress=progress)

    def _make(self, env: EnvironmentOrder) -> EnvSeen:
        mapped = pypi_requirements(env)
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            uv = Uv(self.settings, Path(work))
            self._say(env, "looking for Python")
            choice, python = self._python(env, uv)
            minor = ".".join(choice.version.split(".")[:2])
            lock = env.lock
            if not (lock and lock_answers(lock, env) and lock_python(lock) in ("", minor)):
                self._say(env, f"resolving {len(mapped.lines)} requirements")
                pinned = uv.resolve(mapped.lines, python, env.lock) if mapped.lines else ""
                lock = lock_text(env, minor, pinned)
            venv = self._folder / "venvs" / _hash(lock, choice.version, python)
            with self._guard(venv.name):
                if not (venv / READY).exists():
                    self._say(env, "installing packages")
                    options = [line for line in mapped.lines if line.startswith("-")]
                    self._build(uv, venv, python, lock, options)
        notes = tuple(note for note in (choice.note, *mapped.notes) if note)
        seen = EnvSeen(state="ready", python=str(venv / "bin" / "python"), lock=lock, notes=notes)
        _write(self._key_file(env.key), seen.model_dump(mode="json"))
        return seen

    def _build(self, uv: Uv, venv: Path, python: str, lock: str, options: Sequence[str]) -> None:
        shutil.rmtree(venv, ignore_errors=True)
        uv.create(venv, python)
        if any(line.strip() and not line.startswith("#") for line in lock.splitlines()):
            uv.install(venv, lock, options)
        _write(venv / READY, {"python": python})

    def _python(self, env: EnvironmentOrder, uv: Uv) -> tuple[Choice, str]:
        """What the environment asks for, else what its lock was made for, else the site's own."""
        version, path = own_python()
        wanted = env.python or (lock_python(env.lock) if env.lock else "")
        if satisfies(version, wanted):
            return Choice(version), path
        here = {**uv.pythons(), version: path}
        choice = choose_python(wanted, here, self.settings.python)
        return choice, here[choice.version]

    def _from_disk(self, key: str) -> EnvSeen:
        try:
            seen = EnvSeen.model_validate_json(self._key_file(key).read_bytes())
        except (OSError, ValueError):
            return EnvSeen()
        venv = Path(seen.python).parents[1]
        whole = (venv / READY).exists() and Path(seen.python).exists() and venv.is_relative_to(self._folder)
        return seen if whole else EnvSeen()

    def _key_file(self, key: str) -> Path:
        """Keys come from outside: what is not a plain word names no file."""
        return self._folder / "keys" / f"{key if key.isalnum() else hashlib.sha256(key.encode()).hexdigest()}.json"

    @contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        """One builder at a time for each environment, also among processes."""
        with (self._folder / "locks" / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _hash(lock: str, version: str, python: str) -> str:
    """Packages, interpreter and machine: what makes two environments the same folder."""
    body = "\n".join(line for line in lock.splitlines() if not line.startswith("#"))
    return hashlib.sha256("\n".join([body, version, python, platform.machine()]).encode()).hexdigest()[:32]


def _write(path: Path, value: Any) -> None:
    partial = path.with_name(path.name + ".new")
    partial.write_text(json.dumps(value), encoding="utf-8")
    partial.replace(path)
