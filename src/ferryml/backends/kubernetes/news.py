"""Of which jobs there is news since the last turn, so that a thousand quiet ones cost nothing."""

from __future__ import annotations

import threading
from collections.abc import Collection


class News:
    """Told by watches, gateway and explainer from any thread; taken once a turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uids: set[str] = set()
        self._any = True

    def tell(self, uid: str) -> None:
        """Empty: anything may have changed."""
        with self._lock:
            self._uids.add(uid)
            self._any = self._any or not uid

    def take(self) -> Collection[str] | None:
        """None: of all of them, maybe."""
        with self._lock:
            uids, everything = self._uids, self._any
            self._uids, self._any = set(), False
        return None if everything else uids
