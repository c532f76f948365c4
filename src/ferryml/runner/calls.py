"""MPI between pods without sshd: what mpirun asks of its `ssh` is carried from `collect` to `collect`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable

from ferryml.runner.frames import Stranger, Talk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
BLOCK = 64 * 1024
CONNECT_PATIENCE_S = 300
RETRY_S = 0.5
OVER_PATIENCE_S = 30
START_LIMIT_S = 60
MOST_CALLS = 256
COMMAND, OUT, ERR, EXIT, OVER = b"c", b"o", b"e", b"x", b"v"


def lay_calls(plan: dict[str, Any], folder: str, index: int) -> None:
    """Pipes and scripts of an MPI job; nothing for others."""
    mpi = plan.get("mpi")
    if not mpi:
        return
    calls = os.path.join(folder, "calls")
    shutil.rmtree(calls, ignore_errors=True)
    os.makedirs(calls)
    for name in ("asks", "door"):
        _fifo(os.path.join(calls, name))
    for name, text in mpi["files"].items():
        _write(os.path.join(folder, os.path.basename(name)), text)
    with open(os.path.join(HERE, "rsh.sh"), encoding="utf-8") as file:
        _write(mpi["agent"], file.read().replace("@calls@", calls))
    os.chmod(mpi["agent"], 0o775)  # noqa: S103  a program, run by another user


def host_index(host: str) -> int:
    """Which pod a host name means: the number behind the last dash of its first label. Raises ValueError."""
    match = re.search(r"-(\d+)\Z", host.partition(".")[0])
    if match is None:
        raise ValueError(f"{host[:100]!r} is no pod of this job")
    return int(match[1])


class Caller:
    """Beside mpirun: takes what ferry-rsh asks, and brings the answers."""

    def __init__(self, folder: str, mpi: dict[str, Any], secret: Callable[[], str]) -> None:
        self._calls, self._mpi, self._secret = os.path.join(folder, "calls"), mpi, secret
        # Open for writing, too: so there is no end of it while nobody asks.
        self._asks = os.open(os.path.join(self._calls, "asks"), os.O_RDWR)
        threading.Thread(target=self._listen, name="calls", daemon=True).start()

    def over(self) -> None:
        """Tells the other pods that the job is done; those that do not answer are ended by the cluster."""

        def one(index: int) -> None:
            with contextlib.suppress(OSError, Stranger):
                talk = self._connect(index, OVER_PATIENCE_S)
                talk.send(OVER)
                talk.hear()
                talk.close()

        threads = [
            threading.Thread(target=one, args=(index,), daemon=True) for index in range(1, len(self._mpi["hosts"]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(OVER_PATIENCE_S + 5)

    def _listen(self) -> None:
        with os.fdopen(self._asks, "r", encoding="utf-8", errors="replace") as asks:
            for line in asks:
                ident, _, host = line.strip().partition(" ")
                if ident.isdigit():
                    threading.Thread(target=self._call, args=(ident, host), daemon=True).start()

    def _call(self, ident: str, host: str) -> None:
        base = os.path.join(self._calls, ident)
        with open(base + ".line", encoding="utf-8", errors="surrogateescape") as file:
            line = file.read()
        for name in ("alive", "out", "err", "code"):
            _fifo(f"{base}.{name}")
        alive = os.open(base + ".alive", os.O_RDONLY | os.O_NONBLOCK)
        out, err = open(base + ".out", "wb", 0), open(base + ".err", "wb", 0)  # noqa: SIM115 - closed below
        code = 255
        try:
            talk = self._connect(host_index(host), CONNECT_PATIENCE_S)
            threading.Thread(target=_hang_up_with, args=(alive, talk), daemon=True).start()
            talk.send(COMMAND, line.encode("utf-8", "surrogateescape"))
            code = _carry(talk, {OUT: out, ERR: err})
        except (OSError, ValueError, Stranger) as error:
            with contextlib.suppress(OSError):
                err.write(f"ferry-rsh: {host}: {error}\n".encode())
        for pipe in (out, err):
            with contextlib.suppress(OSError):
                pipe.close()
        _tell(base + ".code", f"{code}\n")

    def _connect(self, index: int, patience_s: float) -> Talk:
        if not 0 <= index < len(self._mpi["hosts"]):
            raise ValueError(f"pod {index} is none of this job's")
        where = (self._mpi["hosts"][index], int(self._mpi["port"]))
        until = time.monotonic() + patience_s
        while True:
            try:
                return Talk(socket.create_connection(where, timeout=10), self._secret(), True, str(index))
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_S)


class Server:
    """Beside a waiting main.sh: takes calls and hands them in."""

    def __init__(self, folder: str, mpi: dict[str, Any], index: int, secret: Callable[[], str]) -> None:
        self._folder, self._index, self._secret = folder, index, secret
        self._calls = os.path.join(folder, "calls")
        self._number, self._lock = 0, threading.Lock()
        self._door = socket.create_server(("", int(mpi["port"])), backlog=64)
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._listen, name="calls", daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError, Stranger):
            talk = Talk(line, self._secret(), False, str(self._index))
            kind, data = talk.hear()
            if kind == OVER:
                _write(os.path.join(self._calls, "over"), "0\n")
                talk.send(OVER)
                self._knock("over")
            elif kind == COMMAND:
                self._run(talk, data)

    def _run(self, talk: Talk, line: bytes) -> None:
        with self._lock:
            self._number += 1
            call = str(self._number)
            base = os.path.join(self._calls, call)
            if self._number > MOST_CALLS:
                raise Stranger("too many calls")
            with open(base + ".line", "wb") as file:
                file.write(line)
            for name in ("out", "err", "code", "kill"):
                _fifo(f"{base}.{name}")
            shutil.copyfile(os.path.join(HERE, "call.sh"), base + ".sh")
            self._knock(call)
            _await(base + ".started")
        pumps = [
            threading.Thread(target=_pump, args=(f"{base}.{name}", talk, kind), daemon=True)
            for name, kind in (("out", OUT), ("err", ERR))
        ]
        for pump in pumps:
            pump.start()
        threading.Thread(target=_end_with, args=(talk, base + ".kill"), daemon=True).start()
        with open(base + ".code", encoding="ascii") as code:
            text = code.read().strip()
        for pump in pumps:
            pump.join()
        talk.send(EXIT, text.encode())

    def _knock(self, word: str) -> None:
        """Waits until main.sh listens."""
        _tell(os.path.join(self._calls, "door"), word + "\n")


def _carry(talk: Talk, pipes: dict[bytes, Any]) -> int:
    """Answers into the pipes until the call is over; its exit code."""
    while True:
        kind, data = talk.hear()
        if kind == EXIT:
            return int(data or b"255")
        pipe = pipes.get(kind)
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(data)


def _hang_up_with(alive: int, talk: Talk) -> None:
    """When ferry-rsh ends, so does its call. Its end of the pipe is not open at once."""
    opened = False
    while True:
        try:
            data = os.read(alive, 1)
        except BlockingIOError:
            opened, data = True, b"-"
        if not data and opened:
            break
        time.sleep(0.1)
    os.close(alive)
    talk.close()


def _end_with(talk: Talk, kill: str) -> None:
    """When the caller hangs up, the program is told to end."""
    with contextlib.suppress(OSError, Stranger):
        while True:
            talk.hear()
    with contextlib.suppress(OSError), open(os.open(kill, os.O_WRONLY | os.O_NONBLOCK), "w") as pipe:
        pipe.write("end\n")


def _pump(path: str, talk: Talk, kind: bytes) -> None:
    with contextlib.suppress(OSError), open(path, "rb", 0) as pipe:
        while True:
            data = pipe.read(BLOCK)
            if not data:
                return
            talk.send(kind, data)


def _await(path: str) -> None:
    until = time.monotonic() + START_LIMIT_S
    while not os.path.exists(path):
        if time.monotonic() > until:
            raise ConnectionError("the program's container does not take calls")
        time.sleep(0.02)


def _tell(path: str, text: str) -> None:
    with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as pipe:
        pipe.write(text)


def _fifo(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path)
    os.chmod(path, 0o660)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
