"""What the cluster said of an attempt that did not end well, kept as one of its logs: events are gone after an hour."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ferryml.backends.kubernetes.gateway_door import ClusterDoor
from ferryml.backends.kubernetes.kinds import EVENTS
from ferryml.backends.kubernetes.kube import Kube, Manifest, meta, name_of, namespace_of
from ferryml.domain.errors import FerryError

log = logging.getLogger(__name__)

LOG = "system_logs/events.log"
WAITING = 1000
"""Attempts that may wait for their events; more are dropped."""


@dataclass(frozen=True, slots=True)
class _Asked:
    uid: str
    attempt: int
    namespace: str
    names: tuple[str, ...]


class EventLog:
    """Writes in a thread of its own: nobody waits for it."""

    def __init__(self, kube: Kube, door: ClusterDoor) -> None:
        self._kube, self._door = kube, door
        self._asked: queue.Queue[_Asked | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="ferry-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What still waits is dropped."""
        while not self._asked.empty():
            try:
                self._asked.get_nowait()
            except queue.Empty:
                break
        self._asked.put(None)

    def keep(self, uid: str, attempt: int, bodies: Sequence[Manifest]) -> None:
        """The events of these objects of one namespace become a log of the attempt."""
        if not bodies:
            return
        names = tuple(name_of(body) for body in bodies)
        try:
            self._asked.put_nowait(_Asked(uid, attempt, namespace_of(bodies[0]), names))
        except queue.Full:
            log.warning("the events of %s are not kept: too many wait", uid)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            try:
                text = lines_of(self._events(asked))
                if text:
                    self._door.append_log(asked.uid, asked.attempt, LOG, text.encode())
            except FerryError as error:
                log.warning("the events of %s are not kept: %s", asked.uid, error.message)

    def _events(self, asked: _Asked) -> Iterable[Manifest]:
        for name in asked.names:
            yield from self._kube.list(EVENTS, asked.namespace, fields=f"involvedObject.name={name}").items


def lines_of(events: Iterable[Manifest]) -> str:
    """One line each, by time: `TIME TYPE REASON KIND/NAME (xN): text`."""
    return "".join(f"{line}\n" for line in sorted(_line(event) for event in events))


def _line(event: Manifest) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), meta(event).get("creationTimestamp"))
    of = event.get("involvedObject") or {}
    count = int(event.get("count") or 1)
    often = f" (x{count})" if count > 1 else ""
    words = " ".join(str(event.get("message") or "").split())
    at = next((str(time) for time in times if time), "-")
    whose = f"{of.get('kind', '')}/{of.get('name', '')}{often}"
    return f"{at} {event.get('type', '')} {event.get('reason', '')} {whose}: {words}"
