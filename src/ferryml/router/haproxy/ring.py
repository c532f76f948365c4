"""Reads what HAProxy writes in passing. HAProxy never waits for us: what we are too slow for is lost and counted."""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

_MOST_PENDING = 4 * 1024**2
_PACE_S = 0.01
"""HAProxy writes line by line; reading in batches costs a tenth."""

_PID = re.compile(rb"^Pid: (\d+)$", re.M)

Lines = Callable[[list[bytes]], None]


@dataclass(slots=True, eq=False)
class _Stream:
    connection: socket.socket
    pid: int
    take: Lines
    rest: bytes = b""
    leaving: bool = False


class RingReader:
    """Follows rings of any number of workers in one thread; `takers` is ring -> who gets its lines."""

    def __init__(self, path: str, takers: dict[str, Lines]) -> None:
        self._path = path
        self._takers = takers
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        self._waker = waker
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._streams: list[_Stream] = []
        self._over = False
        self._thread = threading.Thread(target=self._run, name="router-rings", daemon=True)

    def start(self) -> None:
        """Begin to read; streams come by `follow`."""
        self._thread.start()

    def stop(self) -> None:
        """Close everything; workers go on."""
        self._over = True
        with suppress(OSError):
            self._waker.send(b"x")
        self._thread.join(5)
        for stream in self._streams:
            stream.connection.close()
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def follow(self, pid: int, from_start: bool) -> None:
        """The worker that accepts commands at the path now, and only if that is `pid`. Raises OSError.

        While one replaces another both accept there; read as the new one, the old one's lines would count twice.
        """
        streams: list[_Stream] = []
        try:
            for ring, take in self._takers.items():
                asked = f"show info; show events {ring} -w{'' if from_start else ' -n'}\n"
                streams.append(_Stream(socket.socket(socket.AF_UNIX), pid, take))
                _ask(streams[-1].connection, self._path, asked.encode(), pid)
        except OSError:
            for stream in streams:
                stream.connection.close()
            raise
        with self._lock:
            for stream in streams:
                self._streams.append(stream)
                self._selector.register(stream.connection, selectors.EVENT_READ, stream)
        self._waker.send(b"x")

    def followed(self) -> set[int]:
        """Pids of workers whose rings are read."""
        with self._lock:
            return {stream.pid for stream in self._streams}

    def leave(self, pid: int) -> None:
        """An old worker will have nothing more to say; once what it said is read, it may end."""
        with self._lock:
            for stream in self._streams:
                if stream.pid == pid and not stream.leaving:
                    stream.leaving = True
                    with suppress(OSError):
                        stream.connection.shutdown(socket.SHUT_WR)  # HAProxy ends too, after the last line

    def _run(self) -> None:
        while not self._over:
            for key, _ in self._selector.select(1):
                if key.data is None:
                    self._wake.recv(64)
                else:
                    self._read(key.data)
            time.sleep(_PACE_S)

    def _read(self, stream: _Stream) -> None:
        try:
            data = stream.connection.recv(1024**2)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            with self._lock:
                self._close(stream)
            return
        *lines, stream.rest = (stream.rest + data).split(b"\n")
        if len(stream.rest) > _MOST_PENDING:
            stream.rest = b""
        stream.take(lines)

    def _close(self, stream: _Stream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            with suppress(KeyError, ValueError):
                self._selector.unregister(stream.connection)
            stream.connection.close()


def _ask(connection: socket.socket, path: str, command: bytes, pid: int) -> None:
    """Ask for events after the answer to `show info`, and read that answer; what came along with it is left to read."""
    connection.settimeout(5)
    connection.connect(path)
    connection.sendall(command)
    said = b""
    while not said.endswith(b"\n\n"):
        seen = said + connection.recv(65536, socket.MSG_PEEK)
        if seen == said:
            raise ConnectionError("HAProxy did not say who it is")
        info, end, _ = seen.partition(b"\n\n")
        said += connection.recv(len(info + end) - len(said))
    found = _PID.search(said)
    if found is None or int(found[1]) != pid:
        raise ConnectionError("another worker of HAProxy answered")
    connection.setblocking(False)
