"""Outputs so far leave the pod while the program runs: what another attempt starts from when this node is lost."""

from __future__ import annotations

import os
import threading

from ferryml.runner.door import Door, GaveUp, Rejected, Stopped
from ferryml.runner.outputs import Outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Stamp = tuple[int, int, int]


class Keeper:
    """Looks every `interval_s`; a file counts once two looks in a row found it unchanged, so none is taken half.

    Args:
        items: outputs of the plan; those that go to a place of their own are left out.
    """

    def __init__(
        self, door: Door, outputs: Outputs, items: list[dict[str, Any]], folder: str, interval_s: float
    ) -> None:
        self._door, self._outputs, self._folder, self._interval = door, outputs, folder, interval_s
        self._items = [item for item in items if item["upload"] and not item.get("place") and not item.get("source")]
        self._looks: dict[str, dict[str, Stamp]] = {}
        self._kept: dict[str, dict[str, tuple[Stamp, dict[str, Any]]]] = {}
        self._said: dict[str, list[dict[str, Any]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ferry-checkpoints", daemon=True)

    def start(self) -> None:
        if self._interval > 0 and self._items:
            self._thread.start()

    def finish(self) -> set[str]:
        """Waits for what is under way; names of the outputs that were said so far."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._door.close()
        return set(self._said)

    def turn(self) -> None:
        """One look at all outputs. Raises Rejected, GaveUp."""
        for item in self._items:
            self._keep(item)

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            try:
                self.turn()
            except (GaveUp, Stopped):
                continue
            except Rejected:
                # the gateway wants none of it: the attempt is over, or its outputs stay where they are
                return

    def _keep(self, item: dict[str, Any]) -> None:
        name, kept, seen = item["name"], self._kept.setdefault(item["name"], {}), dict[str, "Stamp"]()
        before = self._looks.get(name, {})
        for shown, source in self._outputs.found(item, self._folder):
            if self._over.is_set():
                return
            try:
                seen[shown] = stamp = _stamp(source)
                if before.get(shown) == stamp and kept.get(shown, (None,))[0] != stamp:
                    entry = self._outputs.entry(shown, source)
                    if _stamp(source) == stamp:
                        kept[shown] = stamp, entry
            except OSError:
                continue  # it went while it was looked at
        self._looks[name] = seen
        for gone in set(kept) - set(seen):
            del kept[gone]
        entries = [entry for _, entry in kept.values()]
        if entries and entries != self._said.get(name):
            self._outputs.record(item, entries, so_far=True)
            self._said[name] = entries


def _stamp(path: str) -> Stamp:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns
