"""Talks to a running HAProxy: every worker is told, old ones too, because they still serve kept connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ferryml.domain.errors import Unavailable
from ferryml.router.haproxy.changes import AddServer, Delete, DrainServer, LimitServer, MapStep, ServerStep

_MOST_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Worker:
    """One HAProxy process; `current` accepts connections, the others finish what they have."""

    pid: int
    current: bool


class Master:
    """The master's command socket. Every call is one connection; raises Unavailable when nobody answers."""

    def __init__(self, path: str, folder: str, wait_s: float = 5) -> None:
        self._path = path
        self._folder = folder
        self._wait_s = wait_s

    def workers(self) -> list[Worker]:
        """Newest first; empty while a reload is under way."""
        found: list[Worker] = []
        old = False
        for line in self._say("show proc").splitlines():
            old = old or line.startswith("# old")
            words = line.split()
            if len(words) > 1 and words[1] == "worker":
                found.append(Worker(int(words[0]), not old))
        return found

    def ask(self, pid: int, command: str) -> str:
        """What one worker answers."""
        return self._say(f"@!{pid} {command}")

    def reload(self, pause: Callable[[float], None] = time.sleep) -> None:
        """A new worker reads the files; returns once it serves. Raises Unavailable when it does not within 10 s."""
        before = {worker.pid for worker in self.workers()}
        self._say("reload")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if any(worker.current and worker.pid not in before for worker in self.workers()):
                    return
            except Unavailable:
                pass  # the master is being replaced by itself
            pause(0.01)
        raise Unavailable("Unavailable", "HAProxy did not take over its new configuration")

    def put_maps(self, steps: Iterable[MapStep], current: bool = True) -> None:
        """On every worker, or on the old ones alone. Raises Unavailable unless the current one has done it all."""
        steps = list(steps)
        for worker in self.workers() if steps else ():
            if current or not worker.current:
                for step in steps:
                    self._map(worker, step)

    def leave(self) -> None:
        """Before HAProxy is ended for good: nobody comes after the current worker."""
        self.ask(self.current(), f"add map {self._folder}/maps/state leaving 1")

    def put_servers(self, steps: Iterable[ServerStep]) -> None:
        """On the current worker alone: the others take no more requests. Raises Unavailable."""
        steps = list(steps)
        if steps:
            pid = self.current()
            for step in steps:
                self._server(pid, step)

    def current(self) -> int:
        """Pid of the worker that serves."""
        for worker in self.workers():
            if worker.current:
                return worker.pid
        raise Unavailable("Unavailable", "no HAProxy worker serves")

    def _map(self, worker: Worker, step: MapStep) -> None:
        path = f"{self._folder}/maps/{step.map}"
        if isinstance(step, Delete):
            answer = self.ask(worker.pid, f"del map {path} {step.key}")
        else:
            said = "add" if step.new else "set"
            answer = self.ask(worker.pid, f"{said} map {path} {step.key} {step.value}")
            if "not found" in answer and not step.new:
                answer = self.ask(worker.pid, f"add map {path} {step.key} {step.value}")
        if worker.current:  # an old one may have ended meanwhile
            self._done(answer, *(("not found",) if isinstance(step, Delete) else ()))

    def _server(self, pid: int, step: ServerStep) -> None:
        at = f"{step.backend}/{step.name}"
        match step:
            case AddServer():
                answer = self.ask(pid, f"add server {at} {step.server.words}")
                if "Already exists" in answer:
                    self._done(self.ask(pid, f"set maxconn server {at} {step.server.limit}"))
                    self._done(self.ask(pid, f"set server {at} state ready"))
                    return
                self._done(answer, "New server registered")
                self._done(self.ask(pid, f"enable health {at}"))
                self._done(self.ask(pid, f"enable server {at}"))
            case LimitServer():
                self._done(self.ask(pid, f"set maxconn server {at} {step.limit}"))
            case DrainServer():
                self._done(self.ask(pid, f"set server {at} state drain"), "No such")

    def remove_server(self, pid: int, backend: str, name: str) -> bool:
        """A drained server that has nothing left to do; False while it has."""
        self.ask(pid, f"set server {backend}/{name} state maint")
        answer = self.ask(pid, f"del server {backend}/{name}")
        return "Server deleted" in answer or "No such" in answer

    @staticmethod
    def _done(answer: str, *fine: str) -> None:
        said = answer.strip()
        if said and not any(word in said for word in fine):
            raise Unavailable("Unavailable", f"HAProxy refused a change: {said[:300]}")

    def _say(self, command: str) -> str:
        parts: list[bytes] = []
        size = 0
        try:
            with socket.socket(socket.AF_UNIX) as master:
                master.settimeout(self._wait_s)
                master.connect(self._path)
                master.sendall(command.encode() + b"\n")
                master.shutdown(socket.SHUT_WR)
                while part := master.recv(65536):
                    parts.append(part)
                    size += len(part)
                    if size > _MOST_BYTES:
                        break
        except OSError as error:
            raise Unavailable("Unavailable", f"HAProxy does not answer: {error}") from error
        return b"".join(parts).decode("utf-8", "replace")
