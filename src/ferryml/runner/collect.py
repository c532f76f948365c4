"""`collect`: beside the user's program, it serves 127.0.0.1, ships logs, and hands over what came of it."""

from __future__ import annotations

import os
import signal
import threading

from ferryml.runner.archive import pack
from ferryml.runner.calls import Caller, Server
from ferryml.runner.checkpoints import Keeper
from ferryml.runner.door import GaveUp, Rejected
from ferryml.runner.errors import error_lines
from ferryml.runner.logs import Shipper
from ferryml.runner.outputs import Outputs
from ferryml.runner.pod import DOOR_PORT, Pod
from ferryml.runner.prepare import is_preparation, lock_made, notes_made, reason
from ferryml.runner.relay import OPEN, Relay
from ferryml.runner.report import PodState, Reporter
from ferryml.runner.shell import work_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_SPACE = 28
PACKAGES = ("/v1/packages/", "/v1/conda")
"""All that commands of a Dockerfile may ask the gateway for."""
LOOK_S = 0.1
KILLED = 128 + signal.SIGKILL
REPORT_PATIENCE_S = 3600
SECRET_PATIENCE_S = 60
LAST_REPORT_S = 10


def collect(pod: Pod) -> int:
    """Until SIGTERM, which comes when the program's container has ended."""
    port = int(os.environ.get("FERRY_DOOR_PORT") or pod.plan.get("door_port") or DOOR_PORT)
    building = pod.plan.get("kind") == "build"
    relay = Relay(pod.plan["gateway"], pod.plan.get("ca") or "", pod.token, port, open_=PACKAGES if building else OPEN)
    try:
        if building:
            # the kubelet says what becomes of its containers: commands of a Dockerfile cannot speak for them
            over = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: over.set())
            over.wait()
            return 0
        (Preparing if is_preparation(pod.plan) else Collecting)(pod).run()
    finally:
        relay.close()
    return 0


class Collecting:
    """One life of `collect`; a later one of the same pod goes on where it stopped."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._over = threading.Event()
        self._caller: Caller | None = None
        self._server: Server | None = None
        self._reporter = Reporter(pod.door(REPORT_PATIENCE_S), pod.index)
        self._state = PodState(pod.folder, self._reporter)
        self._state.load()

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._over.set())
        self._open_calls()
        with open(self._pod.path("ready"), "w", encoding="ascii"):
            pass
        if self._state.phase == "staging":
            self._wait_for("started")
        if self._state.phase != "done":
            self._accompany()
        if os.path.exists(self._pod.path("exit")):
            with open(self._pod.path("collected"), "w", encoding="ascii"):
                pass
            self._open_gate()
        self._over.wait()

    def _wait_for(self, name: str) -> bool:
        """True when main.sh has written the file; False when its container ended without."""
        path = self._pod.path(name)
        while not _complete(path):
            if self._over.wait(LOOK_S):
                return _complete(path)
        return True

    def _accompany(self) -> None:
        started = self._pod.path("started")
        if not os.path.exists(started):
            self._state.save(phase="done", message="the program was never started")
            return
        self._state.save(phase="running", message="", started_at=os.path.getmtime(started))
        shipper, keeper = self._shipper(), self._keeper()
        shipper.start()
        keeper.start()
        said = self._wait_for("exit")
        code, why = self._how_it_ended() if said else (KILLED, "vanished")
        lines = self._lines(why) if code != 0 else []
        self._state.save(phase="collecting", exit_code=code, error_lines=lines, **self._words(why))
        if self._caller is not None:
            self._caller.over()
        self._ship_rest(shipper)
        self._hand_over(keeper.finish())
        self._reporter.finish(LAST_REPORT_S)

    def _how_it_ended(self) -> tuple[int, str]:
        path = self._pod.path("exit")
        with open(path, encoding="ascii") as file:
            code, _, why = file.readline().strip().partition(" ")
        self._state.ended_at = os.path.getmtime(path)
        self._state.usage = _figures(self._pod.path("usage"))
        return int(code), why

    def _words(self, why: str) -> dict[str, Any]:
        if why == "vanished":
            return {"message": "the program's container ended without saying how"}
        if why == "timeout":
            return {"code": "TimedOut", "message": f"limits.timeout of {self._pod.plan['timeout_s']} s was exceeded"}
        if why == "oom":
            text = "the kernel killed it: the program needed more memory than its instance type has"
            return {"code": "OutOfMemory", "message": text}
        return {"message": "asked to end" if why == "term" else ""}

    def _lines(self, why: str) -> list[str]:
        folder = self._pod.path("user_logs")
        first, rank = os.path.join(folder, "std_log.txt"), why.rpartition(" ")[2] if why.startswith("rank ") else "0"
        own = os.path.join(folder, f"std_log_process_{rank}.txt")
        logs = sorted(os.path.join(folder, name) for name in os.listdir(folder)) if os.path.isdir(folder) else []
        log = own if os.path.exists(own) else first if os.path.exists(first) else next(iter(logs), first)
        return error_lines(log)

    def _shipper(self) -> Shipper:
        plan, pod = self._pod.plan, self._pod
        logs = os.path.join(work_of(plan, pod.folder), "logs") if not pod.index else pod.path("no-logs")
        door = pod.door(plan["upload_patience_s"])
        folder = pod.path("user_logs")
        return Shipper(door, folder, logs, plan["log_prefix"], plan["flush_s"], plan["max_log_bytes"], self._fence)

    def _fence(self, why: str) -> None:
        """The agent ends what is not wanted any more; here is nothing to be done about it."""

    def _open_calls(self) -> None:
        mpi, pod = self._pod.plan.get("mpi"), self._pod
        if mpi and pod.index == 0:
            self._caller = Caller(pod.folder, mpi, self._group_secret)
        elif mpi:
            self._server = Server(pod.folder, mpi, pod.index, self._group_secret)

    def _group_secret(self) -> str:
        door = self._pod.door(SECRET_PATIENCE_S)
        try:
            return str(door.get_json("/v1/group")["secret"])
        finally:
            door.close()

    def _ship_rest(self, shipper: Shipper) -> None:
        if not shipper.finish(self._pod.plan["upload_patience_s"]):
            self._state.note("not all of the log could be handed over in time")
        for note in shipper.notes:
            self._state.note(note)

    def _keeper(self) -> Keeper:
        pod, every_s = self._pod, float(self._pod.plan.get("checkpoint_s") or 0)
        door = pod.door(every_s, self._over)
        outputs = Outputs(door, [pod.folder, *pod.plan["roots"]], lambda message: None, pod.index)
        return Keeper(door, outputs, pod.plan["outputs"], pod.folder, every_s)

    def _hand_over(self, told: set[str]) -> None:
        """Everything to the gateway, which was `told` of some before; a later life may repeat it from the start."""
        pod, plan, state = self._pod, self._pod.plan, self._state
        door = pod.door(plan["upload_patience_s"])
        outputs = Outputs(door, [pod.folder, *plan["roots"]], lambda message: None, pod.index)
        outputs.said = told if pod.instances > 1 else set()
        try:
            trees = {item["name"]: outputs.hand_over(item, pod.folder) for item in plan["outputs"]}
            counts = {name: {"files": len(tree["entries"])} for name, tree in trees.items() if tree is not None}
            body = {"exit_code": state.exit_code, "outputs": counts, "rank": pod.index, "of": pod.instances}
            answer = door.post_json("/v1/complete", body)
        except (Rejected, GaveUp, OSError) as error:
            full = isinstance(error, OSError) and error.errno == NO_SPACE
            text = f"outputs could not be handed over: {error}"
            if state.exit_code == 0 and not state.code:
                state.save(phase="done", code="DiskFull" if full else "UploadFailed", message=text)
            else:
                state.save(phase="done", notes=[*state.notes, text])
        else:
            receipt = answer.get("receipt") if isinstance(answer, dict) else None
            notes = [*state.notes, *outputs.notes[:20]]
            state.save(phase="done", outputs_done=True, receipt=receipt, notes=notes)
        finally:
            door.close()

    def _open_gate(self) -> None:
        """For a main.sh that has no `sleep` and waits at the pipe; nobody there is no fault."""
        try:
            os.close(os.open(self._pod.path("gate"), os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return


class Preparing(Collecting):
    """What comes of a preparation is one archive and its lock."""

    def _accompany(self) -> None:
        self._state.save(
            phase="running", message="making the environment", started_at=_made_at(self._pod.path("started"))
        )
        code, why = self._how_it_ended() if self._wait_for("exit") else (KILLED, "vanished")
        self._state.save(phase="collecting", exit_code=code, **self._words(why))
        if code:
            lines = [reason(self._pod.folder)] if reason(self._pod.folder) else self._lines(why)
            self._state.save(phase="done", error_lines=lines if not self._state.message else [], outputs_done=True)
        else:
            self._hand_over(set())
        self._reporter.finish(LAST_REPORT_S)

    def _words(self, why: str) -> dict[str, Any]:
        words = super()._words(why)
        if why == "timeout":
            text = f"preparing took longer than {self._pod.plan['timeout_s']:g} s. Raise prepare_timeout_s of the site."
            return {**words, "message": text}
        return words

    def _hand_over(self, told: set[str]) -> None:
        pod, plan = self._pod, self._pod.plan
        door = pod.door(plan["upload_patience_s"])
        archive = pod.path("environment.tar.gz")
        try:
            digest = pack(plan["folder"], archive)
            door.put_file("/v1/blobs/" + digest, archive)
            os.unlink(archive)
            said = {
                "digest": digest, "lock": lock_made(plan, pod.folder), "notes": notes_made(pod.folder),
                "python": os.path.join(plan["folder"], "bin", "python"),
                "order": {**plan["order"], "lock": plan["lock"]},
            }  # fmt: skip
            door.post_json("/v1/environment", said)
            door.post_json("/v1/complete", {"exit_code": 0, "outputs": {}})
        except (Rejected, GaveUp, OSError) as error:
            full = isinstance(error, OSError) and error.errno == NO_SPACE
            text = f"the environment could not be stored: {error}"
            self._state.save(phase="done", code="DiskFull" if full else "UploadFailed", message=text)
        else:
            self._state.save(phase="done", outputs_done=True)
        finally:
            door.close()


def _made_at(path: str) -> float | None:
    return os.path.getmtime(path) if os.path.exists(path) else None


def _complete(path: str) -> bool:
    """The line has ended: what a shell writes is not there at once."""
    try:
        with open(path, "rb") as file:
            return file.read(4096).endswith(b"\n")
    except OSError:
        return False


def _figures(path: str) -> dict[str, int]:
    found = {}
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                name, _, value = line.strip().partition(" ")
                found[name] = int(value)
    except (OSError, ValueError):
        pass
    if "cpu_nsec" in found:
        found["cpu_usec"] = found.pop("cpu_nsec") // 1000
    return found
