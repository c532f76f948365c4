"""Jobs as processes of this machine: each attempt a folder, a detached runner, and a state file that tells all."""

from __future__ import annotations

import builtins
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ferryml.backends.local import processes
from ferryml.backends.local.environments import LocalEnvironments
from ferryml.backends.local.plans import make_plan
from ferryml.compile.job import MARKER, marker
from ferryml.domain.errors import Unavailable
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.seen import EnvSeen, JobSeen, Launch
from ferryml.settings.site import SiteSettings

log = logging.getLogger(__name__)
RUNNER = Path(__file__).parents[2] / "runner"
MOST_REVIVALS = 5
HARD_KILL_LIMIT_S = 2.0
HUNG_S = 30.0
"""A runner that was asked to end and is still there so long after the grace does not work any more."""
NO_SPACE = 28


@dataclass
class _Memory:
    """What needs not survive this process."""

    runner: processes.Detached | None = None
    revivals: int = 0
    told_at: float | None = None
    done: JobSeen | None = None


@dataclass
class LocalJobs:
    """The local JobBackend. Folders are `root/jobs/UID-HASH/ATTEMPT`.

    Args:
        root: the site's state folder.
        environments: shared with serving.
        settings: the site's knobs.
    """

    root: Path
    environments: LocalEnvironments
    settings: SiteSettings
    _memory: dict[tuple[str, int], _Memory] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _here: set[tuple[str, int]] = field(default_factory=set)
    """What `list` answers: folders are looked at once, because it is asked many times a second."""

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        self._jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._here = set(self._look_around())
        self._empty_trash()

    def tend(self) -> None:
        """Runners tend to themselves; each is looked at in every turn."""

    def prepare(self, env: EnvironmentOrder, uid: str = "", grant: str = "") -> None:
        self.environments.prepare(env, uid, grant)

    def environment(self, key: str) -> EnvSeen:
        return self.environments.environment(key)

    def launch(self, launch: Launch) -> None:
        """Raises Refused when the order cannot be carried out here, Unavailable when it can later."""
        with self._lock:
            folder = self._folder(launch.uid, launch.attempt)
            if not (folder / "job.json").exists():
                self._write(launch, folder)
            elif self._phase(folder) != "new":
                return
            _write_private(folder / "token", launch.token)
            self._here.add((launch.uid, launch.attempt))
            self._spawn(launch.uid, launch.attempt, folder)

    def state(self, uid: str, attempt: int) -> dict[str, Any]:
        """What its runner knows; `main` is the program's process."""
        return _read(self._folder(uid, attempt) / "state.json")

    def observe(self, uid: str, attempt: int) -> JobSeen:
        with self._lock:
            folder = self._folder(uid, attempt)
            memory = self._remember(uid, attempt)
            if memory.done is not None:
                return memory.done
            if memory.runner is not None:
                memory.runner.poll()
            state = _read(folder / "state.json")
            if not state:
                return self._before_first_word(memory, folder)
            if state["phase"] != "done" and not _alive(state.get("runner")):
                state = self._without_runner(uid, attempt, folder, state)
            seen = _seen(state)
            if state["phase"] == "done":
                memory.done = seen
            return seen

    def kill(self, uid: str, attempt: int, grace_s: float) -> None:
        with self._lock:
            folder = self._folder(uid, attempt)
            if not folder.exists():
                return
            state = _read(folder / "state.json")
            if state.get("phase") in ("collecting", "done"):
                return
            order = folder / "kill.json"
            memory = self._remember(uid, attempt)
            if not order.exists():
                _write_json(order, {"grace_s": grace_s})
            if _alive(state.get("runner")):
                self._tell(uid, attempt, int(state["runner"]["pid"]), grace_s)
            elif state and (memory.runner is None or memory.runner.poll() is not None):
                self._end_hard(uid, attempt, folder)

    def clean(self, uid: str) -> None:
        """Whatever still lives of it is ended at once."""
        with self._lock:
            for attempt in self._attempts(self._home(uid)):
                self._end_hard(uid, attempt, self._folder(uid, attempt))
                self._memory.pop((uid, attempt), None)
                self._here.discard((uid, attempt))
            home = self._home(uid)
            if home.exists():
                trash = self._trash / f"{home.name}-{home.stat().st_mtime_ns}"
                self._trash.mkdir(exist_ok=True, mode=0o700)
                home.rename(trash)
        self._empty_trash()

    def list(self) -> builtins.list[tuple[str, int]]:
        with self._lock:
            return sorted(self._here)

    def capacity(self) -> tuple[int, int]:
        """(attempts that live, how many may)."""
        alive = sum(self.observe(uid, attempt).live for uid, attempt in self.list())
        return alive, self.settings.max_parallel_jobs or os.cpu_count() or 1

    def _tell(self, uid: str, attempt: int, pid: int, grace_s: float) -> None:
        """The runner ends the program by itself; when it does not come to it, it is ended with all the rest."""
        memory = self._remember(uid, attempt)
        if memory.told_at is None:
            memory.told_at = time.monotonic()
            processes.send([pid], signal.SIGTERM)
        elif time.monotonic() - memory.told_at > grace_s + HUNG_S:
            self._end_hard(uid, attempt, self._folder(uid, attempt))

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def _trash(self) -> Path:
        return self.root / "trash"

    def _home(self, uid: str) -> Path:
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", uid)[:80].lstrip(".")
        return self._jobs / f"{safe}-{hashlib.sha256(uid.encode()).hexdigest()[:10]}"

    def _folder(self, uid: str, attempt: int) -> Path:
        return self._home(uid) / str(attempt)

    def _attempts(self, home: Path) -> Sequence[int]:
        if not home.exists():
            return []
        return sorted(int(path.name) for path in home.iterdir() if path.name.isdigit())

    def _look_around(self) -> Iterator[tuple[str, int]]:
        for home in self._jobs.iterdir():
            try:
                uid = (home / "uid").read_text(encoding="utf-8")
            except OSError:
                continue
            yield from ((uid, attempt) for attempt in self._attempts(home))

    def _remember(self, uid: str, attempt: int) -> _Memory:
        return self._memory.setdefault((uid, attempt), _Memory())

    def _phase(self, folder: Path) -> str:
        return str(_read(folder / "state.json").get("phase", "new"))

    def _write(self, launch: Launch, folder: Path) -> None:
        env = self.environments.environment(launch.env_key)
        if env.state != "ready":
            raise Unavailable("Unavailable", f"the environment of {launch.uid} is not ready", "It is being made.")
        for earlier in range(1, launch.attempt):
            self._end_hard(launch.uid, earlier, self._folder(launch.uid, earlier))
        self.environments.used(launch.env_key)
        previous = self._folder(launch.uid, launch.attempt - 1)
        plan = make_plan(launch, folder, env.python, self.settings, previous if previous.exists() else None)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.parent.chmod(0o700)
            (folder.parent / "uid").write_text(launch.uid, encoding="utf-8")
            _write_json(folder / "job.json", plan)
        except OSError as error:
            if error.errno == NO_SPACE:
                raise Unavailable("DiskFull", "the site's disk has no room left", "Free space on the site.") from error
            raise

    def _spawn(self, uid: str, attempt: int, folder: Path) -> None:
        memory = self._remember(uid, attempt)
        if memory.runner is not None and memory.runner.poll() is None:
            return
        argv = [sys.executable, "-I", "-S", str(RUNNER), "--folder", str(folder)]
        try:
            memory.runner = processes.start_detached(argv, folder, folder / "runner.log")
        except OSError as error:
            raise Unavailable("Unavailable", f"the runner could not be started: {error.strerror}") from error

    def _before_first_word(self, memory: _Memory, folder: Path) -> JobSeen:
        """The runner writes its state at once; until then only its process tells that there is something."""
        if memory.runner is None:
            return JobSeen(state="absent")
        if memory.runner.poll() is None:
            return JobSeen(state="staging", message="starting")
        text = _tail(folder / "runner.log") or "the runner ended before its first word"
        memory.done = JobSeen(state="lost", message=text, machine_fault=True, node=platform.node())
        return memory.done

    def _without_runner(self, uid: str, attempt: int, folder: Path, state: dict[str, Any]) -> dict[str, Any]:
        memory = self._remember(uid, attempt)
        if memory.runner is not None and memory.runner.poll() is None:
            return state
        if state["phase"] == "collecting" and memory.revivals < MOST_REVIVALS:
            memory.revivals += 1
            self._spawn(uid, attempt, folder)
            return state
        self._end_hard(uid, attempt, folder)
        if state["phase"] == "collecting":
            state = {**state, "code": "UploadFailed", "message": "the runner kept ending while it handed over outputs"}
        else:
            said = _tail(folder / "runner.log")
            message = f"its runner ended: {said}" if said else "its runner was killed, or the machine restarted"
            state = {**state, "lost": True, "machine_fault": True, "message": message}
        state["phase"] = "done"
        try:
            _write_json(folder / "state.json", state)
        except OSError as error:
            # it was the last word and is found again by the next look; a full disk must not hold up other work
            log.warning("the end of %s is not written: %s", uid, error.strerror)
        return state

    def _end_hard(self, uid: str, attempt: int, folder: Path) -> None:
        """Kill runner, program, its session and whatever carries its mark, and see them gone."""
        state = _read(folder / "state.json")
        marks = {
            int(known["pid"]): str(known["mark"])
            for known in (state.get("runner"), state.get("main"))
            if known and processes.is_alive(int(known["pid"]), str(known["mark"]))
        }
        runner = self._remember(uid, attempt).runner
        if runner is not None and runner.poll() is None:
            runner.kill()
            runner.wait(HARD_KILL_LIMIT_S)
        if not marks and state.get("phase", "done") == "done":
            return
        ours = marker(uid, attempt, str(folder / "code"))
        for _ in range(20):
            processes.send(marks, signal.SIGKILL)
            main = (state.get("main") or {}).get("pid", 0)
            left = set(processes.marked(MARKER, ours)) | set(processes.in_session(main) if main else ())
            if not left and processes.wait_gone(marks, HARD_KILL_LIMIT_S):
                return
            marks = {pid: processes.start_mark(pid) for pid in left}
            processes.send(left, signal.SIGKILL)
            processes.wait_gone(marks, HARD_KILL_LIMIT_S)

    def _empty_trash(self) -> None:
        """Big folders take long to remove; nobody waits for it."""
        if self._trash.exists():
            threading.Thread(target=_remove, args=(self._trash,), name="trash", daemon=True).start()


def _seen(state: dict[str, Any]) -> JobSeen:
    names = {"new": "staging", "staging": "staging", "running": "running"}
    known: Any = "lost" if state.get("lost") else names.get(str(state["phase"]), "exited")
    return JobSeen(
        state=known,
        exit_code=state.get("exit_code"),
        started_at=_moment(state.get("started_at")),
        ended_at=_moment(state.get("ended_at")),
        error_lines=tuple(state.get("error_lines", ())),
        message=state.get("message", ""),
        code=state.get("code", ""),
        outputs_done=bool(state.get("outputs_done")),
        machine_fault=bool(state.get("machine_fault")),
        node=platform.node(),
        notes=tuple(state.get("notes", ())),
    )


def _alive(known: dict[str, Any] | None) -> bool:
    return bool(known) and processes.is_alive(int(known["pid"]), str(known["mark"])) if known else False


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _write_json(path: Path, value: Any) -> None:
    partial = path.with_name(path.name + ".new")
    _write_private(partial, json.dumps(value))
    partial.replace(path)


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def _remove(path: Path) -> None:
    def make_writable(function: Any, name: str, _: BaseException) -> None:
        try:
            os.chmod(os.path.dirname(name), 0o700)
            os.chmod(name, 0o700)
            function(name)
        except OSError:
            return

    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=make_writable)
    else:
        shutil.rmtree(path, onerror=lambda function, name, _: make_writable(function, name, OSError()))
