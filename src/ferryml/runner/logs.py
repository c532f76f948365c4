"""Sends log files to the gateway while they grow, byte for byte."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ferryml.runner.door import Door, GaveUp, Rejected, Stopped
from ferryml.runner.line import quoted
from ferryml.runner.stage import Escapes, check_path

PIECE = 1 << 20
MOST_FILES = 1000


class Shipper:
    """Follows `std_log` and every file below `logs`, on a thread of its own.

    Args:
        std_log: path of the merged stdout and stderr, sent as `user_logs/std_log.txt`; a folder holds one for each
            process under the name that it is sent by.
        logs: the `./logs` folder of the program, sent as `logs/...`.
        prefix: put before every name, e.g. `retry-001/`.
        flush_s: how often new bytes are looked for.
        most: bytes of one file after which the rest is dropped, with a line that says so.
        fenced: called once when the gateway says that this attempt may not write any more.
    """

    def __init__(
        self, door: Door, std_log: str, logs: str, prefix: str, flush_s: float, most: int, fenced: Callable[[str], None]
    ) -> None:
        self._door, self._std_log, self._logs = door, std_log, logs
        self._prefix, self._flush_s, self._most, self._fenced = prefix, flush_s, most, fenced
        self._sent: dict[str, int] = {}
        self._full: set[str] = set()
        self.notes: list[str] = []
        self._last = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, limit_s: float) -> bool:
        """Sends what is left; False when the gateway did not take it in time."""
        self._last.set()
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _follow(self) -> None:
        while True:
            last = self._last.wait(self._flush_s)
            try:
                self._round()
            except Rejected as error:
                if error.status in (401, 403):
                    self._fenced(str(error))
                self.notes.append(f"logs are not taken any more: {error}")
                return
            except (GaveUp, Stopped):
                return
            if last:
                return

    def _round(self) -> None:
        for name, path in self._files():
            try:
                self._send_new(name, path)
            except OSError as error:
                self.notes.append(f"log {name} cannot be read: {error.strerror}")

    def _send_new(self, name: str, path: str) -> None:
        where = "/v1/logs?path=" + quoted(self._prefix + name) + "&offset="
        if name not in self._sent:
            self._sent[name] = self._size(where)
        with open(path, "rb") as file:
            file.seek(self._sent[name])
            while name not in self._full:
                piece = file.read(min(PIECE, self._most - self._sent[name]))
                if not piece:
                    self._check_full(name, file.read(1), where)
                    return
                answer = self._door.post_bytes(where + str(self._sent[name]), piece)
                self._sent[name] = max(int(answer["size"]), self._sent[name] + len(piece))

    def _size(self, where: str) -> int:
        """An earlier runner of this attempt may have sent a part already."""
        return int(self._door.post_bytes(where + "0", b"")["size"])

    def _check_full(self, name: str, more: bytes, where: str) -> None:
        if more and self._sent[name] >= self._most:
            self._full.add(name)
            line = f"\n[ferry] this log has reached {self._most} bytes; what follows is dropped\n"
            self._door.post_bytes(where + str(self._sent[name]), line.encode())

    def _files(self) -> list[tuple[str, str]]:
        found = [("user_logs/std_log.txt", self._std_log)] if os.path.isfile(self._std_log) else []
        found += _below("user_logs", self._std_log)
        return (found + _below("logs", self._logs))[:MOST_FILES]


def _below(name: str, top: str) -> list[tuple[str, str]]:
    found = []
    for folder, folders, names in os.walk(top):
        folders.sort()
        for one in sorted(names):
            path = os.path.join(folder, one)
            shown = f"{name}/{os.path.relpath(path, top)}"
            if os.path.isfile(path) and not os.path.islink(path) and _sendable(shown):
                found.append((shown, path))
        if len(found) >= MOST_FILES:
            break
    return found


def _sendable(name: str) -> bool:
    try:
        name.encode()
        check_path(name)
    except (UnicodeEncodeError, Escapes):
        return False
    return True
