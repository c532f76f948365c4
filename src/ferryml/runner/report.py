"""Tells the gateway what a pod is doing: the newest word counts, older ones that were not yet sent are skipped."""

from __future__ import annotations

import threading
import time

from ferryml.runner.door import Door, GaveUp, Rejected, Stopped
from ferryml.runner.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TOLD = (
    "phase", "message", "code", "exit_code", "started_at", "ended_at", "error_lines", "machine_fault", "outputs_done",
    "notes", "usage",
)  # fmt: skip


class Reporter:
    """Sends on a thread of its own, so that nothing waits for the gateway only because something is said."""

    def __init__(self, door: Door, rank: int) -> None:
        self._door, self._rank = door, rank
        self._news = threading.Condition()
        self._next: dict[str, Any] | None = None
        self._busy = False
        self._thread = threading.Thread(target=self._follow, name="states", daemon=True)
        self._thread.start()

    def tell(self, body: dict[str, Any]) -> None:
        with self._news:
            self._next = {"rank": self._rank, **body}
            self._news.notify_all()

    def finish(self, limit_s: float) -> bool:
        """Waits until all is said; False when the gateway did not hear it in time."""
        until = time.monotonic() + limit_s
        with self._news:
            while self._next is not None or self._busy:
                left = until - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._news.wait(left)
        return True

    def _follow(self) -> None:
        while True:
            with self._news:
                while self._next is None:
                    self._news.wait()
                body, self._next, self._busy = self._next, None, True
            try:
                self._door.post_json("/v1/state", body)
            except Rejected as error:
                if error.status in (401, 403):
                    return
            except (GaveUp, OSError):
                pass  # the next word says it anew
            except Stopped:
                return
            finally:
                with self._news:
                    self._busy = False
                    self._news.notify_all()


class PodState(State):
    """The state on disk, told to the gateway with every change."""

    def __init__(self, folder: str, reporter: Reporter) -> None:
        super().__init__(folder)
        self._reporter = reporter
        self.usage: dict[str, int] = {}

    def content(self) -> dict[str, Any]:
        return {key: value for key, value in super().content().items() if key != "_reporter"}

    def save(self, **changes: Any) -> None:
        super().save(**changes)
        self._reporter.tell({key: getattr(self, key) for key in TOLD})
