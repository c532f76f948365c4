"""The door of an endpoint: keys by hash, in constant time, and patience with guessers that runs out."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable

from ferryml.domain.errors import FerryError, Unauthenticated

MAX_FAILURES = 20
WINDOW_S = 10.0
_MOST_PEERS = 4096


class TooManyGuesses(FerryError):
    """This caller sent too many wrong keys; a right one still opens the door."""

    status = 429


class Door:
    """Remembers failures by caller. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def enter(
        self, authorization: str, key_hashes: Iterable[str], peer: str, signed: Callable[[str], bool] | None = None
    ) -> None:
        """Raises Unauthenticated, or TooManyGuesses after MAX_FAILURES within WINDOW_S. `signed` looks at tokens."""
        scheme, _, key = authorization.partition(" ")
        given = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        matches = [hmac.compare_digest(given, known) for known in key_hashes]
        if scheme.lower() == "bearer" and (signed(key.strip()) if signed else any(matches)):
            return
        if self._failed(peer) > MAX_FAILURES:
            raise TooManyGuesses("LimitExceeded", "too many wrong keys from this address", f"Wait {WINDOW_S:.0f} s.")
        what = "token" if signed else "key"
        words = f"the {what} is wrong or expired" if authorization else f"no {what} came with the request"
        raise Unauthenticated("Unauthenticated", words, "Send `Authorization: Bearer KEY`; see get-credentials.")

    def _failed(self, peer: str) -> int:
        now = self._clock()
        since, count = self._failures.pop(peer, (now, 0))
        if now - since > WINDOW_S:
            since, count = now, 0
        self._failures[peer] = (since, count + 1)
        if len(self._failures) > _MOST_PEERS:
            self._failures.popitem(last=False)
        return count + 1
