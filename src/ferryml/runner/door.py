"""HTTP to the gateway: every call is repeated with back-off until it is answered or refused for good."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable

from ferryml.runner.line import Address, Answer, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any


TIMEOUT_S = 60
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
ANSWER_LIMIT = 64 << 20
STRANGER_S = 120
"""How long a pod may be unknown at the gateway: word of it may come later than itself."""


class Rejected(Exception):
    """The gateway will never accept this."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message = status, code, message


class GaveUp(Exception):
    """The gateway could not be reached, or was not ready, for too long."""


class Stopped(Exception):
    """The job is to end; the call was abandoned."""


class Door:
    """One thread's way to the gateway.

    Args:
        url: `http://HOST:PORT`, or `https://` with `ca` as its authority.
        token: opens it for this attempt alone; a function when it changes.
        patience_s: how long one call is repeated before GaveUp.
        stop: when set, waiting calls raise Stopped.
        waiting: told in words why a call is repeated.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        patience_s: float,
        stop: threading.Event | None = None,
        waiting: Callable[[str], None] = lambda why: None,
        ca: str = "",
    ) -> None:
        self._line = Line(Address(url), TIMEOUT_S, ca)
        self._token = token
        self.patience_s = patience_s
        self.stop = stop or threading.Event()
        self._waiting = waiting

    def get_json(self, path: str) -> Any:
        return json.loads(self._repeat(lambda: self._send("GET", path, b"", {})) or b"null")

    def get_bytes(self, path: str) -> bytes:
        return self._repeat(lambda: self._send("GET", path, b"", {}))

    def post_json(self, path: str, value: Any) -> Any:
        body = json.dumps(value).encode()
        kind = {"Content-Type": "application/json"}
        return json.loads(self._repeat(lambda: self._send("POST", path, body, kind)) or b"null")

    def post_bytes(self, path: str, body: bytes) -> Any:
        kind = {"Content-Type": "application/octet-stream"}
        return json.loads(self._repeat(lambda: self._send("POST", path, body, kind)) or b"null")

    def put_file(self, path: str, source: str) -> None:
        """Sends a file of any size in constant memory."""

        def once() -> bytes:
            with open(source, "rb") as file:
                return self._send("PUT", path, file, {})

        self._repeat(once)

    def download(self, path: str, target: str, digest: str) -> int:
        """Fetches a file into `target`; a broken transfer goes on where it stopped.

        `digest` is what it is checked against; empty: what the answer itself promises, if anything.

        Returns its size in bytes.
        """
        partial = target + ".partial"
        with open(partial, "wb") as file:
            taken = _Taken(file)
            self._repeat(lambda: self._fetch(path, taken))
            digest = digest or taken.promised
            if digest and taken.digest() != digest:
                raise Rejected(200, "DigestMismatch", f"{digest} arrived as {taken.digest()}")
        os.replace(partial, target)
        return taken.size

    def close(self) -> None:
        self._line.close()

    def _repeat(self, once: Callable[[], bytes]) -> bytes:
        until = time.monotonic() + self.patience_s
        known_by = time.monotonic() + STRANGER_S
        pause, fresh = FIRST_PAUSE_S, False
        while True:
            try:
                return once()
            except (OSError, ValueError) as error:
                self.close()
                if isinstance(error, OSError) and error.errno in _LOCAL_FAULTS:
                    raise
                why = str(error) or type(error).__name__
                if not fresh:
                    # The line was kept from an earlier call: the gateway may simply have closed it.
                    fresh = True
                    continue
            except _NotNow as error:
                why = str(error)
            except Rejected as error:
                if error.status != 401 or isinstance(self._token, str) or time.monotonic() > known_by:
                    raise
                why = str(error)
            if time.monotonic() + pause > until:
                self.close()
                raise GaveUp(f"the gateway did not take it for {self.patience_s:g} s: {why}")
            self._waiting(why)
            if self.stop.wait(pause):
                self.close()
                raise Stopped()
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _send(self, verb: str, path: str, body: bytes | IO[bytes], headers: dict[str, str]) -> bytes:
        size = len(body) if isinstance(body, bytes) else os.fstat(body.fileno()).st_size
        answer = self._ask(verb, path, headers, body, size)
        data = answer.read_all(ANSWER_LIMIT)
        self._keep(answer)
        _judge(answer.status, data)
        return data

    def _fetch(self, path: str, taken: _Taken) -> bytes:
        further = {"Range": f"bytes={taken.size}-", **({"If-Match": taken.tag} if taken.tag else {})}
        answer = self._ask("GET", path, further if taken.size else {}, b"", 0)
        whole = answer.status == 416 and taken.size
        if answer.status not in (200, 206):
            data = answer.read_all(ANSWER_LIMIT)
            self._keep(answer)
            if not whole:
                _judge(answer.status, data)
            return b""
        if answer.status == 200 and taken.size:
            taken.restart()
        promised = answer.headers.get("x-ferry-digest", "")
        taken.promised, taken.tag = f"sha256:{promised}" if promised else "", answer.headers.get("etag", "")
        while True:
            if self.stop.is_set():
                raise Stopped()
            block = answer.read()
            if not block:
                break
            taken.write(block)
        self._keep(answer)
        return b""

    def _ask(self, verb: str, path: str, headers: dict[str, str], body: bytes | IO[bytes], size: int) -> Answer:
        token = self._token if isinstance(self._token, str) else self._token()
        return self._line.ask(verb, path, {"Authorization": f"Bearer {token}", **headers}, body, size)

    def _keep(self, answer: Answer) -> None:
        if not answer.keep:
            self.close()


class _Taken:
    """What has arrived of a file so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0
        self.promised = self.tag = ""

    def write(self, block: bytes) -> None:
        self._file.write(block)
        self._hash.update(block)
        self.size += len(block)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


class _NotNow(Exception):
    """The gateway answered that it cannot do it at the moment."""


# No space, read-only, too many files, permission: waiting for the gateway does not mend this machine.
_LOCAL_FAULTS = frozenset((28, 30, 24, 13, 2, 36, 20, 21))


def _judge(status: int, data: bytes) -> None:
    if status < 400:
        return
    code, message = f"Http{status}", data[:500].decode("utf-8", "replace")
    try:
        error = json.loads(data)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        pass
    if status >= 500 or status in (408, 425, 429):
        raise _NotNow(f"{code}: {message}")
    raise Rejected(status, code, message)
