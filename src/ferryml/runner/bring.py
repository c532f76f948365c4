"""`stage`: brings everything into a pod's folder before the user's program starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
import time

from ferryml.runner.archive import unpack
from ferryml.runner.calls import lay_calls
from ferryml.runner.door import GaveUp, Rejected, Stopped
from ferryml.runner.pod import Pod
from ferryml.runner.prepare import is_preparation, lay_out
from ferryml.runner.report import PodState, Reporter
from ferryml.runner.shell import chosen, write_shell
from ferryml.runner.stage import Escapes, stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferryml.runner.door import Door

NO_SPACE = 28
REPORT_PATIENCE_S = 60
LAST_REPORT_S = 10
SHORT_REPORT_S = 1
"""When nothing depends on it: the program is not kept waiting."""
_FROM_AN_EARLIER_LIFE = ("ready", "started", "exit", "usage", "collected", "run/why", "run/next", "calls/over")
LOOK_UP_AGAIN_S = 1.0


class Missing(Exception):
    """What was brought lacks a file that the program cannot do without."""


def bring(pod: Pod) -> int:
    """Exit code of `stage`: 0 when the program may start, else the gateway and the pod's status have the reason."""
    return Bringing(pod).run()


class Bringing:
    """One run of `stage`; starts from nothing, so that an interrupted one leaves no trace."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._stop = threading.Event()
        self._reporter = Reporter(pod.door(REPORT_PATIENCE_S, self._stop), pod.index)
        self._state = PodState(pod.folder, self._reporter)

    def run(self) -> int:
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        pod, failed = self._pod, ("", "")
        for name in _FROM_AN_EARLIER_LIFE:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(pod.path(name))
        for note in pod.plan["notes"]:
            self._state.note(note)
        self._state.save(phase="staging", message="bringing code and inputs")
        door = pod.door(
            pod.plan["stage_patience_s"], self._stop, lambda why: self._say(f"waiting for the gateway: {why}")
        )
        try:
            if is_preparation(pod.plan):
                pod.plan = lay_out(pod.plan, pod.folder, door)
            elif pod.plan.get("kind") == "build":
                stage(pod.plan, pod.folder, door, self._say)
                return self._end()
            else:
                stage(pod.plan, pod.folder, door, self._say)
                self._check()
                self._environment(door)
                lay_calls(pod.plan, pod.folder, pod.index)
                self._await_hosts()
            write_shell(pod.plan, pod.folder, pod.index)
        except Stopped:
            failed = "Stopped", "stopped before the program started"
        except GaveUp as error:
            failed = "StagingFailed", str(error)
            self._state.machine_fault = True
        except Missing as error:
            failed = "BadArgument", str(error)
        except (Rejected, Escapes, ValueError, KeyError) as error:
            failed = "StagingFailed", f"{self._state.message}: {error}"
        except OSError as error:
            code = "DiskFull" if error.errno == NO_SPACE else "StagingFailed"
            failed = code, f"{self._state.message}: {error}"
        finally:
            door.close()
        return self._end(*failed)

    def _end(self, code: str = "", message: str = "") -> int:
        if not code:
            self._state.save(message="starting the program")
            self._reporter.finish(SHORT_REPORT_S)
            return 0
        print(f"{code}: {message}", flush=True)
        self._pod.last_words(code, message)
        self._state.save(phase="done", message=message, code="" if code == "Stopped" else code)
        self._reporter.finish(LAST_REPORT_S)
        return 1

    def _say(self, message: str) -> None:
        if message != self._state.message:
            print(message, flush=True)
            self._state.save(message=message)

    def _check(self) -> None:
        for path in self._pod.plan.get("needs") or []:
            if not os.path.isfile(self._pod.path(path)):
                raise Missing(f"the code folder has no file {os.path.basename(path)!r}")

    def _environment(self, door: Door) -> None:
        item, pod = self._pod.plan.get("environment"), self._pod
        if not item:
            return
        self._say("fetching the environment")
        archive = pod.path("environment.tar.gz")
        door.download("/v1/blobs/" + item["digest"], archive, item["digest"])
        self._say("unpacking the environment")
        shutil.rmtree(pod.env_folder, ignore_errors=True)
        os.makedirs(pod.env_folder)
        with open(archive, "rb") as file:
            unpack(file, pod.env_folder)
        os.unlink(archive)

    def _await_hosts(self) -> None:
        """Programs of a group look each other up once and do not ask again: every name must be there before."""
        plan = self._pod.plan
        for host in chosen(plan, "await_hosts", self._pod.index) or []:
            until = time.monotonic() + float(plan.get("hosts_patience_s") or 0)
            while not _resolves(host):
                self._say(f"waiting for {host}")
                if time.monotonic() > until:
                    raise GaveUp(f"the other pod {host} did not appear")
                if self._stop.wait(LOOK_UP_AGAIN_S):
                    raise Stopped()


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
