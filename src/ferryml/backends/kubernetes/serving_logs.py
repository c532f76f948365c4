"""What pods of deployments print: read by a thread of its own, kept in bounded memory till the agent passes it on."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ferryml.agent.ports import LogRead
from ferryml.backends.kubernetes.kube import Kube, Manifest, meta, name_of, namespace_of
from ferryml.backends.kubernetes.serving_pods import Printed, has_restarted, is_readable, starts_of
from ferryml.compile.kubernetes.pods import MAIN, STAGE
from ferryml.domain.errors import FerryError, Refused

log = logging.getLogger(__name__)

CONTAINERS = {"inference-server": MAIN, "storage-initializer": STAGE}
KEPT_BYTES = 1 << 20
"""Of one container of a revision, all its pods together; what is older is dropped if nobody took it."""
PIECE_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024
"""Of the present start of a pod: what tells why it does not get ready."""
FIRST_LINES = 5000
CRASHES = 1000
SOON_S, SELDOM_S, BROKEN_S = 1.0, 30.0, 30.0
"""Pauses between two looks at a pod: after news, after long silence, after a failure."""

Key = tuple[str, str, str]
"""(uid, revision, container of the pod)."""


@dataclass
class _Kept:
    """Pieces by mark: microseconds of their newest line, rising for ever."""

    floor: int
    """The reader has everything up to here, from an earlier life of the agent."""
    pieces: deque[tuple[int, bytes]] = field(default_factory=deque)
    size: int = 0
    mark: int = 0

    def add(self, data: bytes, at: int) -> None:
        self.mark = max(self.mark + 1, at, self.floor + 1)
        self.pieces.append((self.mark, data))
        self.size += len(data)
        while self.size > KEPT_BYTES and len(self.pieces) > 1:
            self.size -= len(self.pieces.popleft()[1])


@dataclass
class _Source:
    """One container of one pod."""

    key: Key
    namespace: str
    pod: str
    last: str = ""
    """Time of its newest line that was read."""
    starts: int = 0
    starts_read: int = 0
    version: str = ""
    due: float = 0.0
    pause: float = SOON_S
    tail: bytes = b""


class ServingLogs:
    """Any thread may call; nothing but the thread of its own waits for the API server.

    Args:
        heard: told of the uid when the reason for a failure was read.
    """

    def __init__(self, kube: Kube, heard: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._heard, self._clock = kube, heard, clock
        self._lock = threading.Condition()
        self._kept: dict[Key, _Kept] = {}
        self._sources: dict[tuple[str, str], _Source] = {}
        """(uid of the pod, container)."""
        self._wanted: OrderedDict[tuple[str, int], tuple[str, Manifest]] = OrderedDict()
        self._crashes: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ferry-serving-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def follow(self, uid: str, pods: Iterable[tuple[str, Manifest]]) -> None:
        """(revision, pod): all pods of an endpoint that there are now."""
        with self._lock:
            here: set[tuple[str, str]] = set()
            for revision, pod in pods:
                for container in (STAGE, MAIN):
                    if is_readable(pod, container):
                        here.add(self._see(uid, revision, pod, container))
            gone = [known for known, one in self._sources.items() if one.key[0] == uid and known not in here]
            for known in gone:
                del self._sources[known]
            self._lock.notify_all()

    def read(self, uid: str, revision: str, container: str, after: int, limit: int) -> LogRead:
        """Raises Refused for an unknown container."""
        if container not in CONTAINERS:
            known = " and ".join(sorted(CONTAINERS))
            raise Refused("BadValue", f"there is no container {container[:64]!r}", f"Containers are {known}.")
        with self._lock:
            kept = self._kept.setdefault((uid, revision, CONTAINERS[container]), _Kept(after))
            data, mark = bytearray(), after
            for at, piece in kept.pieces:
                if at > after:
                    if data and len(data) + len(piece) > limit:
                        break
                    data += piece
                    mark = at
        return LogRead(bytes(data), mark)

    def printed(self, uid: str, pod: Manifest) -> Printed:
        """What is known of the main container; what is not is asked for."""
        known = (str(meta(pod).get("uid", "")), starts_of(pod, MAIN))
        with self._lock:
            source = self._sources.get((known[0], MAIN))
            present = source.tail.decode("utf-8", "replace") if source is not None else ""
            return Printed(self._crashes.get(known), present)

    def ask_crash(self, uid: str, pod: Manifest) -> None:
        """The whole of what the last start printed."""
        known = (str(meta(pod).get("uid", "")), starts_of(pod, MAIN))
        with self._lock:
            if known not in self._crashes:
                self._wanted[known] = (uid, pod)
                self._lock.notify_all()

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._kept if key[0] == uid]:
                del self._kept[key]
            for known in [known for known, one in self._sources.items() if one.key[0] == uid]:
                del self._sources[known]

    def turn(self) -> float:
        """Reads what is due; seconds until something is due again."""
        while (asked := self._next_crash()) is not None:
            self._read_crash(*asked)
        now = self._clock()
        with self._lock:
            due = [one for one in self._sources.values() if one.due <= now and one.key in self._kept]
        for source in due:
            self._read(source)
        with self._lock:
            waits = [one.due - self._clock() for one in self._sources.values() if one.key in self._kept]
        return max(0.05, min([*waits, SELDOM_S]))

    def _run(self) -> None:
        while True:
            pause = self.turn()
            with self._lock:
                if self._stopping:
                    return
                if not self._wanted:
                    self._lock.wait(pause)
                if self._stopping:
                    return

    def _see(self, uid: str, revision: str, pod: Manifest, container: str) -> tuple[str, str]:
        known = (str(meta(pod).get("uid", "")), container)
        source = self._sources.get(known)
        if source is None:
            source = _Source((uid, revision, container), namespace_of(pod), name_of(pod))
            self._sources[known] = source
        version = str(meta(pod).get("resourceVersion", ""))
        if source.version != version:
            source.version, source.due, source.pause = version, 0.0, SOON_S
        source.starts = starts_of(pod, container)
        return known

    def _read(self, source: _Source) -> None:
        with self._lock:
            kept = self._kept.get(source.key)
            since = source.last or (_stamp(kept.floor) if kept is not None and kept.floor else "")
            missed = source.starts > source.starts_read
        try:
            data = b""
            if missed:
                data = self._kube.pod_lines(source.namespace, source.pod, source.key[2], since, FIRST_LINES, True)
            data += self._kube.pod_lines(source.namespace, source.pod, source.key[2], since, FIRST_LINES)
        except FerryError as error:
            log.debug("the log of pod %s: %s", source.pod, error.message)
            with self._lock:
                source.due = self._clock() + BROKEN_S
            return
        with self._lock:
            fresh = self._take(source, data)
            if missed:
                source.starts_read = source.starts
            source.pause = SOON_S if fresh else min(source.pause * 2, SELDOM_S)
            source.due = self._clock() + source.pause

    def _take(self, source: _Source, data: bytes) -> bool:
        kept = self._kept.get(source.key)
        since = source.last or (_stamp(kept.floor) if kept is not None and kept.floor else "")
        lines, last = [], since
        for line in data.splitlines(keepends=True):
            stamp, space, text = line.partition(b" ")
            at = stamp.decode("ascii", "replace")
            if space and at > since:
                lines.append(text)
                last = max(last, at)
        if not lines or kept is None:
            return False
        source.last = last
        whole = b"".join(lines)
        source.tail = (source.tail + whole)[-TAIL_BYTES:]
        for first in range(0, len(whole), PIECE_BYTES):
            kept.add(whole[first : first + PIECE_BYTES], _micros(last))
        return True

    def _next_crash(self) -> tuple[tuple[str, int], str, Manifest] | None:
        with self._lock:
            if not self._wanted:
                return None
            known, (uid, pod) = self._wanted.popitem(last=False)
            return known, uid, pod

    def _read_crash(self, known: tuple[str, int], uid: str, pod: Manifest) -> None:
        try:
            data = self._kube.pod_lines(
                namespace_of(pod), name_of(pod), MAIN, tail=FIRST_LINES, previous=has_restarted(pod, MAIN)
            )
        except FerryError as error:
            log.debug("why pod %s ended cannot be read: %s", name_of(pod), error.message)
            return
        text = b"".join(line.partition(b" ")[2] for line in data.splitlines(keepends=True))
        with self._lock:
            self._crashes[known] = text.decode("utf-8", "replace")[-200_000:]
            while len(self._crashes) > CRASHES:
                self._crashes.popitem(last=False)
            source = self._sources.get((known[0], MAIN))
            if source is not None:
                # its log is complete before anybody acts on the failure and removes the pod
                self._take(source, data)
                source.tail = b""
        self._heard(uid)


def _stamp(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "999Z"


def _micros(stamp: str) -> int:
    """Of `2024-05-01T00:00:00.000000001Z`; 0 for what is no time."""
    try:
        return int(datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00").timestamp() * 1e6)
    except ValueError:
        return 0
