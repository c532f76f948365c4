"""One attempt of a job from beginning to end: stage, run, collect. Survives the agent; tells all in state.json."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import queue
import signal
import threading
import time

from ferryml.runner.door import Door, GaveUp, Rejected, Stopped
from ferryml.runner.errors import error_lines
from ferryml.runner.logs import Shipper
from ferryml.runner.outputs import Outputs
from ferryml.runner.process import Program, adopt_orphans, memory_kills
from ferryml.runner.stage import Escapes, stage
from ferryml.runner.state import State, start_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_SPACE = 28
KILLED = 128 + signal.SIGKILL


def main(argv: list[str]) -> int:
    """`--folder F`: carry out F/job.json. A second runner of the same folder ends at once.

    In pods: `stage|collect|pull|build|push --plan P --folder F`, and `ready`.
    """
    if argv[:1] and argv[0] in ("stage", "collect", "pull", "build", "push", "ready", "pack"):
        # Loaded here alone: a local job has no use for it, and its start would take twice as long.
        return int(importlib.import_module("ferryml.runner.pods").main(argv))
    if len(argv) != 2 or argv[0] != "--folder":
        print("usage: runner --folder FOLDER")
        return 2
    folder = os.path.abspath(argv[1])
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        Runner(folder).run()
    return 0


class Runner:
    """Carries out the plan of one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            self._plan: dict[str, Any] = json.load(file)
        with open(os.path.join(folder, "token"), encoding="ascii") as file:
            self._token = file.read().strip()
        self._state = State(folder).load()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._log = os.path.join(folder, "std_log.txt")

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGINT, self._asked_to_end)
        pid = os.getpid()
        phase = self._state.phase
        if os.path.exists(os.path.join(self._folder, "kill.json")):
            self._asked_to_end(signal.SIGTERM, None)
        for note in self._plan["notes"]:
            self._state.note(note)
        self._state.save(runner={"pid": pid, "mark": start_mark(pid)})
        if phase in ("new", "staging") and self._stage():
            self._run()
        elif phase == "running":
            self._end(machine_fault=True, message="the runner was lost while the program ran")
        if self._state.phase == "collecting":
            self._collect()

    def _asked_to_end(self, number: int, frame: object) -> None:
        self._stop.set()
        self._events.put(("stop", "asked to end"))

    def _end(self, **changes: Any) -> None:
        self._state.save(phase="done", ended_at=self._state.ended_at or _now(), **changes)

    def _say(self, message: str) -> None:
        if message != self._state.message:
            self._state.save(message=message)

    def _door(self, patience_s: float, stop: threading.Event | None = None) -> Door:
        def waiting(why: str) -> None:
            self._say(f"waiting for the gateway: {why}")

        return Door(self._plan["gateway"], self._token, patience_s, stop, waiting if stop else lambda why: None)

    def _stage(self) -> bool:
        """True when the program may start."""
        self._state.save(phase="staging", message="bringing code and inputs")
        door = self._door(self._plan["stage_patience_s"], self._stop)
        try:
            stage(self._plan, self._folder, door, self._say)
        except Stopped:
            self._end(message="stopped before the program started", outputs_done=True)
        except GaveUp as error:
            self._end(code="StagingFailed", message=str(error), machine_fault=True)
        except (Rejected, Escapes, ValueError, KeyError) as error:
            self._end(code="StagingFailed", message=f"{self._state.message}: {error}")
        except OSError as error:
            code = "DiskFull" if error.errno == NO_SPACE else "StagingFailed"
            self._end(code=code, message=f"{self._state.message}: {error}")
        finally:
            door.close()
        return self._state.phase == "staging"

    def _run(self) -> None:
        plan = self._plan
        before = memory_kills()
        adopt_orphans()
        env = {**plan["env"], "MLFLOW_TRACKING_TOKEN": self._token}
        try:
            where = os.path.join(self._folder, "code")
            program = Program(plan["command"], env, where, self._log, self._events, plan["ranks"])
        except OSError as error:
            self._end(code="StagingFailed", message=f"the program could not be started: {error}", machine_fault=True)
            return
        main_process = {"pid": program.pid, "mark": program.mark}
        self._state.save(phase="running", message="", started_at=_now(), main=main_process)
        shipper = self._shipper()
        shipper.start()
        exit_code, why = self._wait(program)
        program.sweep()
        lines = error_lines(self._log) if exit_code else []
        self._state.save(phase="collecting", ended_at=_now(), exit_code=exit_code, error_lines=lines, **why)
        if exit_code == KILLED and not why and memory_kills() > before:
            text = "the kernel killed it: the machine ran out of memory"
            self._state.save(machine_fault=True, message=text, error_lines=[text, *lines])
        self._ship_rest(shipper)

    def _wait(self, program: Program) -> tuple[int, dict[str, Any]]:
        """Waits for the end, by itself or by order. Returns the exit code and what is to be said of it."""
        limit = self._plan["timeout_s"]
        until = None if limit is None else time.monotonic() + limit + self._plan["timeout_slack_s"]
        kill_at: float | None = None
        why: dict[str, Any] = {}
        while True:
            nearest = min((moment for moment in (until, kill_at) if moment is not None), default=None)
            wait = None if nearest is None else max(0.0, nearest - time.monotonic())
            try:
                event, value = self._events.get(timeout=wait)
            except queue.Empty:
                event, value = ("kill", "") if nearest == kill_at else ("stop", "timeout")
            if event == "ended":
                return int(value), why
            if event == "kill":
                program.signal(signal.SIGKILL)
                kill_at = None
            elif kill_at is None and not why:
                why = {"message": str(value)}
                if value == "timeout":
                    why = {"code": "TimedOut", "message": f"limits.timeout of {limit} s was exceeded"}
                    until = None
                program.signal(signal.SIGTERM)
                kill_at = time.monotonic() + self._grace()

    def _grace(self) -> float:
        try:
            with open(os.path.join(self._folder, "kill.json"), encoding="ascii") as file:
                return float(json.load(file)["grace_s"])
        except (OSError, ValueError, KeyError):
            return float(self._plan["grace_s"])

    def _shipper(self) -> Shipper:
        plan = self._plan

        def fenced(why: str) -> None:
            self._events.put(("stop", why))

        logs = os.path.join(self._folder, "code", "logs")
        door = self._door(plan["upload_patience_s"])
        return Shipper(door, self._log, logs, plan["log_prefix"], plan["flush_s"], plan["max_log_bytes"], fenced)

    def _ship_rest(self, shipper: Shipper) -> None:
        if not shipper.finish(self._plan["upload_patience_s"]):
            self._state.note("not all of the log could be handed over in time")
        for note in shipper.notes:
            self._state.note(note)

    def _collect(self) -> None:
        """Everything to the gateway; may be repeated from the start by a later runner."""
        plan = self._plan
        door = self._door(plan["upload_patience_s"])
        outputs = Outputs(door, [self._folder, *plan["roots"]], self._say_quietly)
        try:
            trees = {item["name"]: outputs.hand_over(item, self._folder) for item in plan["outputs"]}
            counts = {name: {"files": len(tree["entries"])} for name, tree in trees.items() if tree is not None}
            body = {"exit_code": self._state.exit_code, "outputs": counts}
            answer = door.post_json("/v1/complete", body)
        except (Rejected, GaveUp, OSError) as error:
            code = "DiskFull" if isinstance(error, OSError) and error.errno == NO_SPACE else "UploadFailed"
            text = f"outputs could not be handed over: {error}"
            if self._state.exit_code == 0 and not self._state.code:
                self._end(code=code, message=text)
            else:
                self._end(notes=[*self._state.notes, text])
        else:
            receipt = answer.get("receipt") if isinstance(answer, dict) else None
            self._end(outputs_done=True, receipt=receipt, notes=[*self._state.notes, *outputs.notes[:20]])
        finally:
            door.close()

    def _say_quietly(self, message: str) -> None:
        """While collecting, the message tells why it ended; what is being uploaded would hide it."""


def _now() -> float:
    return time.time()  # noqa: TID251 - nothing hands this program a clock: it is its own bootstrap
