"""This terminal as one end of a shell in a job: raw bytes both ways, its size as it changes, an exit code last."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from queue import Empty, Full, Queue
from typing import Any

from ferryml.domain.connection import MOST_PIECE, Frame, Frames, Terminal, exit_of, size_frame
from ferryml.domain.errors import FerryError, Unavailable

WAIT_S = 20.0
RETRY_S = 0.5
BLOCK = 64 * 1024


class Desk:
    """One connection, from this side.

    Args:
        jobs: the client's.
        source: file descriptor of the input.
        patience_s: how long the server may be away; keys go to the other end, so nobody could end it by Ctrl-C.
    """

    def __init__(
        self, jobs: Any, connection: str, terminal: bool, source: int = 0, patience_s: float = 60.0
    ) -> None:  # fmt: skip
        self._patience_s = patience_s
        self._jobs, self._connection, self._terminal, self._source = jobs, connection, terminal, source
        self._waiting: Queue[Frame] = Queue(64)
        self._over = threading.Event()
        self.reason = ""

    def run(self) -> int:
        """Until the program ends; its exit code. Raises FerryError."""
        threading.Thread(target=self._read_input, daemon=True).start()
        threading.Thread(target=self._send, daemon=True).start()
        try:
            with _raw(self._source, self.resized) if self._terminal else nullcontext():
                return self._hear()
        finally:
            self._over.set()
            with suppress(FerryError):
                self._jobs.connection_close(self._connection)

    def resized(self) -> None:
        """The window has another size."""
        with suppress(Full):  # from a signal's handler, which must not wait
            self._waiting.put_nowait(size_frame(window()))

    def _hear(self) -> int:
        frames, offset, heard = Frames(), 0, time.monotonic()
        while True:
            try:
                data, over = self._jobs.connection_hear(self._connection, offset, WAIT_S)
            except Unavailable as error:
                if time.monotonic() - heard > self._patience_s:
                    self.reason = f"given up: {error.message}"
                    return 255
                self._over.wait(RETRY_S)
                continue
            heard = time.monotonic()
            offset += len(data)
            for frame in frames.feed(data):
                if frame.kind == "exit":
                    code, self.reason = exit_of(frame)
                    return code
                if frame.kind in ("data", "errors"):
                    stream = sys.stdout if frame.kind == "data" else sys.stderr
                    stream.buffer.write(frame.payload)
                    stream.buffer.flush()
            if over:
                self.reason = "the connection was closed: its time is over, or its site has ended it"
                return 255

    def _read_input(self) -> None:
        while not self._over.is_set():
            try:
                data = os.read(self._source, BLOCK)
            except OSError:
                data = b""
            self._waiting.put(Frame("data", data) if data else Frame("end"))
            if not data:
                return

    def _send(self) -> None:
        """One call at a time: what is typed meanwhile goes together."""
        said = 0
        while not self._over.is_set():
            data = self._gathered()
            if data and not self._said(said, data):
                return
            said += len(data)

    def _gathered(self) -> bytes:
        data = b""
        with suppress(Empty):
            data = self._waiting.get(timeout=1).to_bytes()
            while len(data) < MOST_PIECE - 2 * BLOCK:
                data += self._waiting.get_nowait().to_bytes()
        return data

    def _said(self, offset: int, data: bytes) -> bool:
        while not self._over.is_set():
            try:
                self._jobs.connection_say(self._connection, offset, data)
                return True
            except Unavailable:
                self._over.wait(RETRY_S)
            except FerryError:
                return False  # who hears is told why
        return False


def window() -> Terminal:
    """This terminal's size."""
    size = shutil.get_terminal_size()
    return Terminal(rows=max(1, size.lines), columns=max(1, size.columns))


@contextmanager
def _raw(source: int, resized: Any) -> Iterator[None]:
    """Every key goes to the other end, Ctrl-C too."""
    before = termios.tcgetattr(source)
    handlers = {signal.SIGWINCH: signal.signal(signal.SIGWINCH, lambda *_: resized())}
    for number in (signal.SIGTERM, signal.SIGHUP):
        handlers[number] = signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        tty.setraw(source)
        yield
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
