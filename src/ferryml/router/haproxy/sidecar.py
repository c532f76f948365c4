"""Beside each HAProxy: makes it serve a table with the least change, and says what it saw."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from ferryml.domain.counters import Counters
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.routes import EndpointRoute, RouterTable
from ferryml.router.haproxy import watch
from ferryml.router.haproxy.changes import DrainServer, merged, plan_changes, settled
from ferryml.router.haproxy.config import CONFIG, files_of
from ferryml.router.haproxy.events import Book
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.ring import RingReader
from ferryml.router.haproxy.runtime import Master
from ferryml.router.haproxy.shape import Shape, backend_name, instance_of, shape_of
from ferryml.router.haproxy.tap_link import TapLink

_TICK_S = 0.25
_MOST_COMMANDS = 2000
_SHUT_S = 3.0
"""A reload by somebody else shuts the master's door for less."""


class Program(Protocol):
    """HAProxy itself."""

    def check(self, config: str) -> None:
        """Raises Defect when it would not take this file."""

    def begin(self) -> None:
        """Serves the files when this returns."""


@dataclass(frozen=True, slots=True)
class Load:
    """Of one endpoint, at this moment."""

    busy: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """(revision, instance, port) -> requests under way, those of leaving instances too."""
    queued: dict[str, int] = field(default_factory=dict)
    """revision -> requests in line."""


class Sidecar:
    """Every method may be called from any thread. `me` is this replica's name among the table's peers."""

    def __init__(
        self, options: Options, program: Program, master: Master, book: Book, tap: TapLink, window_s: float = 60,
        me: str = "",
    ) -> None:  # fmt: skip
        self._options, self._program, self._master = options, program, master
        self._book, self._tap, self._window_s, self._me = book, tap, window_s, me
        self._rings = RingReader(f"{options.run}/admin.sock", {"events": book.take, "copies": tap.offer})
        self._lock = threading.RLock()
        self._shape: Shape | None = None
        self._written: Shape | None = None
        """What the files hold; None while that is not known."""
        self._certain = True
        """Whether the workers serve `_shape`; after a change that failed only a reload makes sure."""
        self._table = RouterTable()
        self._draining: set[DrainServer] = set()
        self._left: set[int] = set()
        """Workers that said their last; read again from the start, everything would count twice."""
        self._shut_since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="router-sidecar", daemon=True)
        self.acknowledged = -1
        """Generation of the table that every worker serves."""
        self._served = threading.Condition()
        self.reloads = 0

    def start(self) -> None:
        """Begin to watch; serving begins with the first table."""
        self._rings.start()
        self._tap.start()
        self._thread.start()

    def stop(self) -> None:
        """HAProxy goes on as it was last told."""
        self._over.set()
        self._thread.join(5)
        self._tap.stop()
        self._rings.stop()

    def apply(self, table: RouterTable) -> int:
        """Serve this; returns its generation once all workers do. Raises FerryError; then call again."""
        new = shape_of(table, self._me)
        with self._lock:
            self._book.keep(list(table.endpoints))
            self._tap.use(table)
            self._table = table
            before, self._certain = self._certain, False
            if self._shape is None:
                self._begin(new)
            else:
                self._change(self._shape, new, before)
            self._certain = True
        with self._served:
            self.acknowledged = table.generation
            self._served.notify_all()
        return table.generation

    def await_generation(self, generation: int, wait_s: float) -> int:
        """The generation that is served, once it is that one or a later, or the time is over."""
        with self._served:
            self._served.wait_for(lambda: self.acknowledged >= generation, wait_s)
            return self.acknowledged

    @property
    def endpoints(self) -> tuple[EndpointRoute, ...]:
        """As in the table."""
        return self._table.endpoints

    def endpoint(self, uid: str) -> EndpointRoute | None:
        """As in the table."""
        return next((one for one in self._table.endpoints if one.uid == uid), None)

    def totals(self, uid: str) -> dict[str, Counters]:
        """revision -> totals since this program started."""
        found = self.endpoint(uid)
        return self._book.totals(found) if found else {}

    def recent(self, uid: str) -> dict[str, Counters]:
        """revision -> what was added within the window."""
        found = self.endpoint(uid)
        return self._book.recent(found) if found else {}

    def answers(self, uid: str) -> dict[tuple[str, str, int], int]:
        """(revision, weighted or named, status) -> answers since this program started; -1: the caller went away."""
        found = self.endpoint(uid)
        return self._book.answers(found) if found else {}

    def busy(self, uid: str) -> dict[tuple[str, int, int], int]:
        """(revision, instance, port) -> requests under way, those of leaving instances too."""
        return self.loads(uid).get(uid, Load()).busy

    def queued(self, uid: str) -> dict[str, int]:
        """revision -> requests in line."""
        return self.loads(uid).get(uid, Load()).queued

    def loads(self, uid: str = "") -> dict[str, Load]:
        """What each endpoint (or that one) has under way and in line: two questions to each worker, however many."""
        endpoints = [one for one in self._table.endpoints if uid in ("", one.uid)]
        made = {one.uid: Load() for one in endpoints}
        names: dict[str, tuple[Load, str]] = {}
        for one in endpoints:
            for revision in one.revisions:
                names[backend_name(one.name, revision.revision)] = made[one.uid], revision.revision
                made[one.uid].queued[revision.revision] = 0
                for upstream in revision.upstreams:
                    made[one.uid].busy[revision.revision, upstream.instance, upstream.port] = 0
        for worker in self._master.workers() if names else ():
            for backend, server, used in self._used(worker.pid):
                if backend in names:
                    load, revision_name = names[backend]
                    place = (revision_name, *instance_of(server))
                    if used or place in load.busy:
                        load.busy[place] = load.busy.get(place, 0) + used
            for line in self._master.ask(worker.pid, "show stat -1 2 -1").splitlines():
                parts = line.split(",", 3)
                if parts[0] in names:
                    load, revision_name = names[parts[0]]
                    load.queued[revision_name] += int(parts[2] or 0)
        return made

    def renew_certificate(self, pem: str) -> None:
        """Certificate chain and key in one text; connections from now on see it. Raises Unavailable."""
        path = Path(self._options.folder) / "edge.pem"
        with self._lock:
            for worker in self._master.workers():
                self._master.ask(worker.pid, f"set ssl cert {path} <<\n{pem.strip()}\n")
                said = self._master.ask(worker.pid, f"commit ssl cert {path}")
                if worker.current and "Success" not in said:
                    self._master.ask(worker.pid, f"abort ssl cert {path}")
                    raise Unavailable("TlsFailed", f"HAProxy refused the certificate: {said.strip()[:300]}")
            write_file(path, pem)

    def _begin(self, new: Shape) -> None:
        self._write_files(new, checked=True)
        self._program.begin()
        self._shape = new
        self._read_rings()

    def _change(self, old: Shape, new: Shape, certain: bool) -> None:
        changes = plan_changes(old, new)
        much = len(changes.maps) + len(changes.servers) > _MOST_COMMANDS
        reload = bool(changes.reload) or much or not certain
        serving = merged(old, new, reload)
        if serving == old and not reload:
            return
        self._write_files(serving, checked=reload)
        if not reload:
            try:
                self._master.put_servers(changes.servers)
                self._master.put_maps(changes.maps)
            except Unavailable:
                reload = True  # whatever it was, the files are right
        if reload:
            self._reload()
            self._master.put_maps(changes.maps, current=False)
        self._master.put_servers(changes.drains)
        self._draining -= {DrainServer(step.backend, step.name) for step in changes.servers}
        self._draining |= set(changes.drains)
        self._shape = settled(serving, new)

    def _reload(self) -> None:
        try:
            self._master.reload()
        finally:
            self._shut_since = time.monotonic()
        self.reloads += 1
        self._read_rings()

    def _read_rings(self) -> None:
        with suppress(OSError):  # the next turn of `_follow` has it, from the start
            self._rings.follow(self._master.current(), from_start=True)

    def _write_files(self, new: Shape, checked: bool) -> None:
        """The configuration last: what it names is there then, and one that HAProxy refuses never takes its place."""
        made = files_of(new, self._options, self._written)
        self._written = None
        config = made.pop(CONFIG, "")
        folder = Path(self._options.folder)
        for path, text in made.items():
            write_file(folder / path, text)
        if config and checked:
            draft = folder / f"{CONFIG}.draft"
            write_file(draft, config)
            self._program.check(str(draft))
        if config:
            write_file(folder / CONFIG, config)
        self._written = new

    def _used(self, pid: int) -> Iterator[tuple[str, str, int]]:
        """(backend, server, requests under way) of one worker."""
        for line in self._master.ask(pid, "show servers conn").splitlines():
            parts = line.split()
            if len(parts) > 7 and parts[0].startswith("r."):
                backend, _, server = parts[0].partition("/")
                yield backend, server, int(parts[6])

    def _run(self) -> None:
        looked = ended = 0.0
        while not self._over.wait(_TICK_S):
            now = time.monotonic()
            if now - looked >= max(1.0, self._window_s / 20):
                looked = now
                self._book.look(now, self._window_s)
            if self._shape is None:
                continue
            with suppress(FerryError, OSError, ValueError):
                self._leave_if_ending()
                self._drain()
                self._follow()
                if now - ended >= 1:
                    ended = now
                    self._end_overdue()

    def _drain(self) -> None:
        if not self._draining:
            return
        with self._lock:
            pid = self._master.current()
            for step in list(self._draining):
                if self._master.remove_server(pid, step.backend, step.name):
                    self._draining.discard(step)

    def _leave_if_ending(self) -> None:
        """A master that is told to end shuts its door; its worker then waits for us alone, once it is done.

        It shuts it for a reload, too, and on a busy machine for long: ours are over once the lock is had.
        """
        with self._lock:
            try:
                self._master.workers()
                self._shut_since = time.monotonic()
            except Unavailable as error:
                shut_s = time.monotonic() - self._shut_since
                if isinstance(error.__cause__, ConnectionRefusedError) and shut_s > _SHUT_S:
                    for pid in self._rings.followed() - self._left:
                        self._left.add(pid)
                        self._rings.leave(pid)

    def _follow(self) -> None:
        """Workers that came without us are read, and old ones that are idle may go."""
        with self._lock:
            workers = self._master.workers()
            followed = self._rings.followed()
            self._left &= {worker.pid for worker in workers}
            for worker in workers:
                if worker.current and worker.pid not in followed:  # one that was left too early is read on
                    self._rings.follow(worker.pid, from_start=worker.pid not in self._left)
                    self._left.discard(worker.pid)
                if worker.pid in followed - self._left and self._ends(worker.pid):
                    self._left.add(worker.pid)
                    self._rings.leave(worker.pid)

    def _ends(self, pid: int) -> bool:
        """It was told to take no more, and has nothing left to do: it waits for us alone."""
        rows = [row.split(",") for row in self._master.ask(pid, "show stat -1 1 -1").splitlines()]
        ours = [row for row in rows if row[0] in ("edge", "inner", "peers")]
        return all(row[17] == "STOP" and int(row[4] or 0) == 0 for row in ours) and bool(ours)

    def _end_overdue(self) -> None:
        shape = self._shape or Shape()
        limits = watch.limits_of(shape)
        for worker in self._master.workers():
            streams = watch.read_streams(self._master.ask(worker.pid, "show sess"))
            most = self._options.max_body_bytes
            look = partial(self._look, worker.pid)
            for key in watch.overdue(streams, limits, look, most):
                self._master.ask(worker.pid, f"shutdown session {key}")

    def _look(self, pid: int, key: str) -> str:
        return self._master.ask(pid, f"show sess {key}")


def write_file(path: Path, text: str) -> None:
    """Whole or not at all, readable by us alone, and only when it differs."""
    with suppress(FileNotFoundError):
        if path.read_text() == text:
            return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
