"""Logs of jobs as they arrive: listed, read by range, waited for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ferryml.control.context import Caller, Deps, allow
from ferryml.control.explain import kept_where
from ferryml.control.jobs import TERMINAL
from ferryml.control.ports import Json, Row
from ferryml.control.rows import need
from ferryml.domain.errors import NotFound

MAX_READ = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a log; `size` is the whole file's and `phase` the job's at that moment."""

    data: bytes
    size: int
    phase: str


def list_logs(deps: Deps, caller: Caller, workspace: str, name: str) -> list[Json]:
    """`[{path, size}]`, sizes in bytes."""
    allow(caller, "job.read", workspace)
    with deps.store.read() as tx:
        row = need(tx, "job", workspace, name)
        return [{"path": path, "size": size} for path, size in tx.list_logs(workspace, str(row.status["uid"]))]


def read(
    deps: Deps, caller: Caller, workspace: str, name: str, path: str, span: tuple[int, int], wait_s: float
) -> Piece:
    """At most `span[1]` bytes from `span[0]` on; waits for more to come unless the job has ended.

    A file that is not there yet is empty while the job lives, and NotFound afterwards.
    """
    allow(caller, "job.read", workspace)
    offset, limit = span[0], min(span[1], MAX_READ)
    deadline = time.monotonic() + min(max(wait_s, 0.0), deps.settings.wish_poll_s)
    while True:
        with deps.store.read() as tx:
            row = need(tx, "job", workspace, name)
            uid = str(row.status["uid"])
            sizes = dict(tx.list_logs(workspace, uid))
            data = tx.read_log(workspace, uid, path, offset, limit)
        left = deadline - time.monotonic()
        if row.phase in TERMINAL and path not in sizes:
            raise _absent(row, path, sizes)
        if data or row.phase in TERMINAL or left <= 0 or deps.stopping.is_set():
            return Piece(data, sizes.get(path, 0), row.phase)
        deps.wait(f"job:{uid}", left)


def _absent(row: Row, path: str, sizes: dict[str, int]) -> NotFound:
    if where := kept_where(row):
        return NotFound("NotFound", f"logs of job {row.name} stay {where}", "`ferry gateway logs` reads them there.")
    return NotFound("NotFound", f"job {row.name} has no log {path!r}", f"It has: {', '.join(sizes) or 'none'}.")
