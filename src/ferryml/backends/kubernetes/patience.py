"""Troubles that may pass become failures when they last: an image that cannot be pulled, a Secret that is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from ferryml.backends.kubernetes.observe import View, ranks_of
from ferryml.domain.seen import JobSeen


class Patience:
    """Remembers since when each attempt has been in trouble; a restart of the agent begins anew."""

    def __init__(self, limit_s: float, now: Callable[[], datetime]) -> None:
        self._limit_s, self._now = limit_s, now
        self._since: dict[tuple[str, int], datetime] = {}
        self._lock = threading.Lock()

    def judged(self, uid: str, attempt: int, view: View, seen: JobSeen) -> JobSeen:
        """The same, or its end with the trouble's code when that has lasted too long."""
        key = (uid, attempt)
        trouble = next((rank for rank in ranks_of(view) if rank.trouble), None) if seen.live else None
        with self._lock:
            if trouble is None:
                self._since.pop(key, None)
                return seen
            since = self._since.setdefault(key, self._now())
        if (self._now() - since).total_seconds() < self._limit_s:
            return seen
        return seen.model_copy(update={"state": "exited", "code": trouble.trouble, "message": trouble.message})

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._since if key[0] == uid]:
                del self._since[key]
