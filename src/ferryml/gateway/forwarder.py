"""Passes on what the journal holds, as soon as the link allows; nothing is dropped before the server has it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ferryml.domain.errors import FerryError, NotFound, Refused, Unauthenticated, Unavailable
from ferryml.domain.link import Journal as Batch
from ferryml.domain.link import JournalAnswer, MlflowCall
from ferryml.domain.orders import Json
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Journal, Pending
from ferryml.gateway.merge import Group, grouped
from ferryml.gateway.store import SiteStore
from ferryml.gateway.uplink import Uplink

log = logging.getLogger(__name__)

PER_STREAM = 200
MOST_BYTES = 4 << 20
"""Of one request: below the server's limit on bodies, with room for one large entry."""
PARALLEL_UPLOADS = 4
PRUNE_EVERY_S = 60.0
BELIEVED_DOWN_S = 3.0
LINGER_S = 0.1
"""How long news wait for company, unless somebody waits for them."""


class Forwarder:
    """One thread; `chores` are done in it every round, under the same back-off."""

    def __init__(
        self,
        db: Database,
        journal: Journal,
        store: SiteStore,
        uplink: Uplink,
        results: Callable[[str, MlflowCall, Json], None],
        retry_s: tuple[float, float] = (0.2, 30.0),
    ) -> None:
        self._db, self._journal, self._store, self._uplink, self._results = db, journal, store, uplink, results
        self.chores: Callable[[], None] = lambda: None
        self._least, self._most = retry_s
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._failed_at: float | None = None
        self._not_before: dict[tuple[str, int], tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(PARALLEL_UPLOADS, thread_name_prefix="ferry-upload")
        self._thread = threading.Thread(target=self._run, name="ferry-forwarder", daemon=True)

    @property
    def up(self) -> bool:
        """False for a moment after each failed call, so that not every caller waits for the link by itself."""
        return self._failed_at is None or time.monotonic() - self._failed_at > BELIEVED_DOWN_S

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5) -> None:
        self._stopping.set()
        self._hurry.set()
        with self._journal.changed:
            self._journal.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def heard(self, up: bool) -> None:
        """Another call to the server was answered, or not."""
        self._failed_at = None if up else time.monotonic()

    def drained(self, uid: str, attempt: int, timeout_s: float) -> bool:
        """Waits until the server has all that this attempt has said so far; False when it does not in time."""
        seq, until = self._journal.last_seq(uid, attempt), time.monotonic() + timeout_s
        if self._journal.waiting(uid, attempt, seq):
            self._hurry.set()
        with self._journal.changed:
            while self._journal.waiting(uid, attempt, seq):
                left = until - time.monotonic()
                if left <= 0 or not self.up:
                    return False
                self._journal.changed.wait(min(left, 0.5))
        return True

    def step(self) -> int:
        """One round over all streams; returns how many entries found their way. Raises Unavailable."""
        now, moved = time.monotonic(), 0
        for stream in self._journal.streams_waiting():
            if self._not_before.get(stream, (0.0, 0.0))[0] > now:
                continue
            entries = self._journal.pending(*stream, PER_STREAM)
            gone = self._send(stream, grouped(self._with_files(entries)))
            if gone:
                self._not_before.pop(stream, None)
            else:
                self._put_off(stream)
            moved += gone
        return moved

    def _run(self) -> None:
        pause, pruned = self._least, time.monotonic()
        while not self._stopping.is_set():
            try:
                moved = self.step()
                self.chores()
            except FerryError as error:
                if self.up:
                    log.warning("the gateway cannot reach the server: %s: %s", error.code, error.message)
                self.heard(False)
                self._stopping.wait(pause)
                pause = min(self._most, pause * 2)
                continue
            except Exception:  # this is the loop runner: a defect in one round must not lose the journal
                log.exception("defect in the forwarder")
                self._stopping.wait(self._most)
                continue
            pause = self._least
            if not moved:
                if time.monotonic() - pruned > PRUNE_EVERY_S:
                    self._journal.prune()
                    pruned = time.monotonic()
                self._wait()
            if moved < PER_STREAM and self._hurry.wait(LINGER_S):
                self._hurry.clear()

    def _wait(self) -> None:
        with self._journal.changed:
            if not self._stopping.is_set() and not self._ready():
                self._journal.changed.wait(0.5)

    def _ready(self) -> bool:
        now = time.monotonic()
        return any(self._not_before.get(s, (0.0, 0.0))[0] <= now for s in self._journal.streams_waiting())

    def _put_off(self, stream: tuple[str, int]) -> None:
        """The server neither took nor refused it (e.g. it does not know the job after a restore): ask less often."""
        _, pause = self._not_before.get(stream, (0.0, self._least))
        self._not_before[stream] = (time.monotonic() + pause, min(self._most, pause * 2))

    def _with_files(self, entries: Sequence[Pending]) -> list[Pending]:
        """The leading entries whose files are on the server, sending those first; refused ones are dropped."""
        ready: list[Pending] = []
        size = 0
        for pending in entries:
            size += _weight(pending)
            if ready and size > MOST_BYTES:
                break
            try:
                self._upload(pending)
            except (Unauthenticated, Unavailable):
                if not ready:
                    raise
                break
            except Refused as error:
                self._journal.refuse(pending.entry, f"{error.code}: {error.message}")
                continue
            ready.append(pending)
        return ready

    def _upload(self, pending: Pending) -> None:
        item = pending.entry.item
        if getattr(item, "bound", False):
            return
        missing = [digest for digest in pending.blobs if not self._sent(digest, pending.workspace)]
        uploads = [self._pool.submit(self._upload_one, digest, pending) for digest in missing]
        try:
            for one in uploads:
                one.result()
                self.heard(True)
        finally:
            # one that went on after its round would meet the next round's upload of the same file
            for one in uploads:
                if not one.cancel():
                    one.exception()

    def _upload_one(self, digest: str, pending: Pending) -> None:
        self._uplink.upload(digest, self._store.path(digest), pending.entry.grant)
        self._db.run("INSERT OR IGNORE INTO sent VALUES (?, ?)", digest, pending.workspace)

    def _sent(self, digest: str, workspace: str) -> bool:
        return self._db.row("SELECT 1 FROM sent WHERE digest = ? AND workspace = ?", digest, workspace) is not None

    def _send(self, stream: tuple[str, int], groups: Sequence[Group]) -> int:
        if not groups:
            return 1
        try:
            answer = self._uplink.journal(Batch(entries=tuple(group.sent.entry for group in groups)))
        except Unauthenticated:
            raise
        except Refused as error:
            if error.code == "NotYourSite" or isinstance(error, NotFound):
                raise
            return self._halved(stream, groups, error)
        self.heard(True)
        return self._take(stream, groups, answer)

    def _halved(self, stream: tuple[str, int], groups: Sequence[Group], error: Refused) -> int:
        """A whole request was refused: find the entry that is the cause, and let the others pass."""
        if len(groups) == 1:
            self._refuse(groups[0], f"{error.code}: {error.message}")
            return 1
        middle = len(groups) // 2
        return self._send(stream, groups[:middle]) + self._send(stream, groups[middle:])

    def _refuse(self, group: Group, words: str) -> None:
        if len(group.parts) == 1:
            self._journal.refuse(group.parts[0].entry, words)
        else:
            self._journal.separate(group.parts)

    def _take(self, stream: tuple[str, int], groups: Sequence[Group], answer: JournalAnswer) -> int:
        uid, attempt = stream
        prefix, refused = f"{uid}/{attempt}", 0
        for group in groups:
            key = f"{prefix}/{group.sent.entry.seq}"
            item = group.sent.entry.item
            if isinstance(item, MlflowCall) and item.provisional and key in answer.results:
                self._results(uid, item, answer.results[key])
            if key in answer.refused:
                self._refuse(group, _words(answer.refused[key]))
                refused += 1
        self._again(answer, [group.sent for group in groups])
        return self._journal.acknowledge(uid, attempt, answer.acknowledged.get(prefix, 0)) + refused

    def _again(self, answer: JournalAnswer, entries: Sequence[Pending]) -> None:
        """What the server stopped at may lack a file that a restore has lost: it is offered anew."""
        for pending in entries:
            entry = pending.entry
            if entry.seq > answer.acknowledged.get(f"{entry.uid}/{entry.attempt}", 0):
                for digest in pending.blobs:
                    self._db.run("DELETE FROM sent WHERE digest = ? AND workspace = ?", digest, pending.workspace)
                return


def _weight(pending: Pending) -> int:
    item = pending.entry.item
    return 500 + len(pending.entry.grant) + len(getattr(item, "data", "")) + len(getattr(item, "body", ""))


def _words(error: Json) -> str:
    return f"{error.get('code', '')}: {error.get('message', '')}" if isinstance(error, dict) else str(error)
