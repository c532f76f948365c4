"""One instance of a revision: started, asked whether it is well, started again after a crash, ended when told."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

from ferryml.backends.local.serving_files import Content, RevisionFolder
from ferryml.backends.local.serving_health import (
    CALM_S,
    GIVE_UP_AFTER,
    Health,
    ProbeRules,
    answers,
    restart_delay,
)
from ferryml.backends.local.serving_process import Child, Identity, Program, end_group
from ferryml.compile.collecting import CONFIG, script_collections, settings_file
from ferryml.compile.serving import argv, routes, takes_any_port, variables
from ferryml.domain.errors import FerryError
from ferryml.domain.orders import RevisionOrder
from ferryml.domain.script_failure import keeps_losing_workers, script_failure
from ferryml.domain.seen import EnvSeen, InstanceSeen

_TAIL = 4000


class Environments(Protocol):
    """What serving needs of the maker of environments."""

    def environment(self, key: str) -> EnvSeen: ...


class Scripts:
    """Takes what scoring scripts collect by themselves; this one takes nothing."""

    def serve(self, uid: str, revision: RevisionOrder) -> None:
        """Records of this revision are expected from now on; said again, the last word counts."""

    def forget(self, revision: str) -> None:
        """It runs no more."""

    def variables(self, revision: RevisionOrder, settings: Path) -> Mapping[str, str]:
        """What its program must be given to find the door, and its settings in that file."""
        return {}


@dataclass(slots=True)
class Record:
    """What a later life of this site must know; one small file."""

    instance: int
    port: int = 0
    pid: int = 0
    started: float = 0.0
    restarts: int = 0
    ready: bool = False
    offset: int = 0
    """Where the present start's lines begin in the log."""
    failed: bool = False
    code: str = ""
    reason: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What all instances share."""

    content: Content
    environments: Environments
    workers: Executor
    """Runs what blocks: copying files, asking probes."""
    scripts: Scripts


class Instance:
    """Driven by `turn`, from one thread; nothing in it waits."""

    def __init__(self, revision: RevisionOrder, folder: RevisionFolder, record: Record, site: Site) -> None:
        self.revision, self.folder, self.record, self._site = revision, folder, record, site
        self._child: Child | None = None
        self._ready: Health | None = None
        self._live: Health | None = None
        self._crashes = 0
        self._again_at = 0.0
        self._staging: Future[None] | None = None
        self._asking: dict[Literal["ready", "live"], Future[bool]] = {}
        self._well_since = 0.0
        self._log_read_at = 0.0
        self.stopping: float | None = None
        """Grace in seconds once it was told to end."""

    @property
    def _file(self) -> Path:
        return self.folder.path / f"instance-{self.record.instance}.json"

    def save(self) -> None:
        """Write the record; whole or not at all."""
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(asdict(self.record)), encoding="utf-8")
        part.replace(self._file)

    def adopt(self) -> None:
        """After a restart of the site: take over the process if it lives, clear up after it if not."""
        record = self.record
        if not record.pid:
            return
        identity = Identity(record.pid, record.started)
        self._child = Child.adopt(identity)
        if self._child is None:
            end_group(identity)
            record.pid, record.ready = 0, False
            return
        self._watch(record.ready)

    def release(self) -> None:
        """The process lives on; a later life takes it over."""
        if self._child is not None:
            self._child.release()

    def seen(self) -> InstanceSeen:
        """What to tell."""
        record = self.record
        tail = record.traceback or (self._log_tail() if record.failed else "")
        return InstanceSeen(
            revision=self.revision.revision, instance=record.instance, state=self._state(),
            port=routes(self.revision, record.port).scoring[0] if record.port else None, pid=record.pid or None,
            restarts=record.restarts, log_tail=tail, code=record.code, reason=record.reason,
        )  # fmt: skip

    def turn(self, now: float) -> bool:
        """One look; True when nothing of it is left and it may be forgotten."""
        if self.stopping is not None:
            return self._end(self.stopping)
        if self._child is None:
            self._begin(now)
        elif not self._child.alive():
            self._ended(now)
        else:
            self._ask(now)
        return False

    def _state(self) -> Literal["starting", "ready", "unready", "exited", "failed", "ending"]:
        if self.stopping is not None:
            return "ending"
        if self.record.failed:
            return "failed"
        if self._child is None:
            return "exited" if self.record.restarts else "starting"
        if self.record.ready:
            return "ready"
        return "unready" if self._well_since else "starting"

    # starting

    def _begin(self, now: float) -> None:
        if (self.record.failed and not self._well_since) or now < self._again_at or not self._stage():
            return
        environment = self._site.environments.environment(self.revision.environment.key)
        if environment.state == "failed":
            return self._fail(environment.code or "EnvironmentFailed", environment.message)
        if environment.state != "ready":
            self.record.reason = f"waiting for the environment: {environment.progress or environment.state}"
            return None
        try:
            self._launch(environment.python)
        except OSError as error:
            self._fail("DeploymentCrashLoopBackOff", f"the program cannot be started: {error.strerror or error}")
        return None

    def _stage(self) -> bool:
        if self._staging is None:
            self.record.reason = "bringing model and code"
            self._staging = self._site.workers.submit(self.folder.stage, self.revision, self._site.content)
        if not self._staging.done():
            return False
        try:
            self._staging.result()
        except FerryError as error:
            self._fail(error.code, error.message)
            return False
        except OSError as error:
            self._fail("StagingFailed", f"model or code could not be brought: {error.strerror or error}")
            return False
        return True

    def _launch(self, python: str) -> None:
        record, revision = self.record, self.revision
        record.port = _free_port() if takes_any_port(revision) else routes(revision, 0).scoring[0]
        places = self.folder.places(revision)
        own = {
            "PATH": f"{Path(python).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "VIRTUAL_ENV": str(Path(python).parent.parent),
            "XDG_RUNTIME_DIR": str(self.folder.path),
            **self._collecting(),
        }
        program = Program(
            argv(revision, python, record.port), Path(places.app_root),
            own | variables(revision, places, record.port), self.folder.log,
        )  # fmt: skip
        record.offset = self.folder.log.stat().st_size if self.folder.log.exists() else 0
        self._child = Child.start(program)
        record.pid, record.started = self._child.identity.pid, self._child.identity.started
        record.ready, record.reason = False, "starting"
        self._watch(well=False)
        self.save()

    def _collecting(self) -> Mapping[str, str]:
        """Written at each start, so that a program reads what holds then."""
        asked = script_collections(self.revision)
        if asked is None:
            return {}
        file = self.folder.path / CONFIG
        file.write_text(settings_file(asked), encoding="utf-8")
        return self._site.scripts.variables(self.revision, file)

    def _watch(self, well: bool) -> None:
        now = time.monotonic()
        self._ready = Health(ProbeRules.of(self.revision.readiness), now, well=well)
        self._live = Health(ProbeRules.of(self.revision.liveness), now, well=well)
        self._asking = {}
        if well:
            self._well_since = now

    # watching

    def _ask(self, now: float) -> None:
        ask = routes(self.revision, self.record.port)
        places: tuple[tuple[Literal["ready", "live"], Health | None, tuple[int, str]], ...] = (
            ("ready", self._ready, ask.readiness), ("live", self._live, ask.liveness),
        )  # fmt: skip
        for name, health, (port, path) in places:
            future = self._asking.get(name)
            if future is not None and future.done() and health is not None:
                del self._asking[name]
                self._heard(name, health, future.result(), now)
            elif future is None and health is not None and health.due(now):
                self._asking[name] = self._site.workers.submit(answers, port, path, health.rules.timeout)
        if not self.record.ready and now - self._log_read_at > 1.0:
            self._log_read_at = now
            if self._child is not None and keeps_losing_workers(self._log_since()):
                self._crashes = max(self._crashes, GIVE_UP_AFTER - 1)
                self._child.end(grace_s=0)
        if self.record.ready and self._crashes and now - self._well_since > CALM_S:
            self._crashes = 0

    def _heard(self, name: Literal["ready", "live"], health: Health, ok: bool, now: float) -> None:
        reached = health.heard(ok, now)
        if name == "live":
            if reached and self._child is not None:
                self.record.reason = f"liveness probe failed {health.rules.failure_threshold} times; starting it again"
                self.record.ready = False
                self._child.end(grace_s=1.0)
            return
        if health.well and not self.record.ready:
            self._well_since = now
            self.record.failed = False
            self.record.code = self.record.reason = self.record.traceback = ""
        if health.well != self.record.ready:
            self.record.ready = health.well
            if not health.well:
                self.record.reason = "readiness probe fails"
            self.save()

    def _ended(self, now: float) -> None:
        child, record = self._child, self.record
        if child is None or not child.end(0):
            return
        self._child = None
        self._crashes += 1
        failure = script_failure(self._log_since(), child.exit_code)
        record.pid, record.ready = 0, False
        record.restarts += 1
        record.code, record.reason, record.traceback = failure.code, failure.reason, failure.traceback
        record.failed = self._crashes >= GIVE_UP_AFTER or (failure.final and not self._well_since)
        self._again_at = now + restart_delay(self._crashes)
        self.save()

    def _fail(self, code: str, reason: str) -> None:
        self.record.failed, self.record.code, self.record.reason = True, code, reason
        with suppress(OSError):
            self.folder.note(reason)
            self.save()

    # ending

    def _end(self, grace_s: float) -> bool:
        if self._staging is not None and not self._staging.done():
            return False
        if self._child is not None and not self._child.end(grace_s):
            return False
        self._file.unlink(missing_ok=True)
        return True

    def _log_since(self) -> str:
        return self.folder.read_log("inference-server", self.record.offset)[-200_000:].decode("utf-8", "replace")

    def _log_tail(self) -> str:
        return self._log_since()[-_TAIL:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
