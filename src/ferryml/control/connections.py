"""Shells in running jobs: a row for each, and two streams of bytes that wait for their reader; nobody dials a site."""

from __future__ import annotations

import base64
import binascii
import time
from datetime import datetime, timedelta
from typing import Literal

from ferryml.control.context import Caller, Deps, Turn, allow, changed, turn
from ferryml.control.ports import Json, Row, Tx
from ferryml.control.rows import missing, need
from ferryml.control.sites import ONLINE
from ferryml.domain.connection import (
    MOST_PIECE,
    MOST_STREAM,
    Connection,
    ConnectionAsk,
    Connections,
    Piece,
    check_free,
)
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from ferryml.domain.orders import Residency

CAPABILITY = "connect"
"""Of sites whose IT has allowed it."""
OPEN, CLOSED = "Open", "Closed"
Way = Literal["in", "out"]
PER_SITE, IN_ALL = 20, 60
"""Connections at a time: each holds two long polls of the server."""
KEPT_S = 60.0
"""How long what was said last can be read after the end."""


def open_(deps: Deps, caller: Caller, workspace: str, name: str, ask: ConnectionAsk) -> Json:
    """A connection to a running job of the caller's own; `{id, expires_at, site}`."""
    allow(caller, "job.write", workspace)
    if not deps.settings.connect_limit_s:
        raise Refused("NotSupported", "this server lets nobody connect to jobs", "IT: set connect_limit_s.")

    def work(now: Turn) -> Json:
        row = need(now.tx, "job", workspace, name)
        if row.created_by != caller.name:
            raise Forbidden("Forbidden", f"job {name} is {row.created_by}'s; only they may connect to it")
        if row.phase != "Running":
            raise Conflict("NotRunning", f"job {name} is {row.phase}", "A shell needs a job that is Running.")
        check_free(name, Residency.model_validate(row.status.get("residency") or {}))
        site = _site(now.tx, str(row.status["site"]))
        expires = now.tx.now() + timedelta(seconds=deps.settings.connect_limit_s)
        spec = {
            "site": site.name, "uid": str(row.status["uid"]), "attempt": int(row.status.get("attempt") or 1),
            "job": name, "ask": ask.model_dump(mode="json"),
        }  # fmt: skip
        made = now.tx.insert(
            Row(
                kind="connection",
                workspace=workspace,
                name=deps.dice.id(24),
                spec=spec,
                phase=OPEN,
                parent=site.name,
                status={"expires_at": expires.isoformat()},
                created_by=caller.name,
            )
        )
        details: dict[str, Json] = {"connection": made.name, "command": list(ask.command)}
        now.record(caller, workspace, "job.connect", f"job:{name}", details)
        now.wake(_channel(site.name))
        return {"id": made.name, "site": site.name, "expires_at": expires.isoformat()}

    return changed(deps, work)


def of_site(deps: Deps, site: str, wait_s: float, known: frozenset[str] = frozenset()) -> Connections:
    """All that are open to a site; waits for one that is not `known`."""
    deadline = time.monotonic() + min(max(wait_s, 0.0), deps.settings.wish_poll_s)
    while True:
        with deps.store.read() as tx:
            rows = [row for row in tx.find("connection", parent=site, phases=(OPEN,)) if _lives(row, tx.now())]
        left = deadline - time.monotonic()
        if {row.name for row in rows} - known or left <= 0 or deps.stopping.is_set():
            return Connections(connections=tuple(_told(row) for row in rows))
        deps.wait(_channel(site), left)


def say(deps: Deps, row: Row, way: Way, piece: Piece) -> int:
    """Adds bytes to one direction; replays change nothing. Returns its size. Raises Conflict when it is over."""
    try:
        data = base64.b64decode(piece.data, validate=True)
    except binascii.Error as error:
        raise Refused("BadRequest", "the bytes of a connection are base64") from error
    if len(data) > MOST_PIECE or piece.offset + len(data) > MOST_STREAM:
        raise Refused("LimitExceeded", "a connection carries less than that", "Use inputs and outputs for data.")
    with turn(deps) as now:
        current = now.tx.get("connection", row.workspace, row.name)
        if current is None or current.phase != OPEN or not _lives(current, now.tx.now()):
            raise Conflict("NotRunning", "the connection is over", "Connect again.")
        size = now.tx.append_log(row.workspace, _owner(row), way, piece.offset, data)
        if piece.over:
            _end(now, current)
        now.wake(f"connection:{row.name}")
        return size


def hear(deps: Deps, row: Row, way: Way, offset: int, wait_s: float) -> Piece:
    """What was said from `offset` on; waits for more."""
    deadline = time.monotonic() + min(max(wait_s, 0.0), deps.settings.wish_poll_s)
    while True:
        with deps.store.read() as tx:
            current = tx.get("connection", row.workspace, row.name)
            data = tx.read_log(row.workspace, _owner(row), way, offset, MOST_PIECE)
            over = current is None or current.phase != OPEN or not _lives(current, tx.now())
        left = deadline - time.monotonic()
        if data or over or left <= 0 or deps.stopping.is_set():
            return Piece(offset=offset, data=base64.b64encode(data).decode(), over=over and not data)
        deps.wait(f"connection:{row.name}", left)


def close(deps: Deps, row: Row) -> None:
    """Nothing more is said; what was said can be read for a while."""
    with turn(deps) as now:
        current = now.tx.get("connection", row.workspace, row.name)
        if current is not None and current.phase == OPEN:
            _end(now, current)
        now.wake(f"connection:{row.name}", _channel(str(row.parent)))


def mine(deps: Deps, caller: Caller, workspace: str, name: str) -> Row:
    """The connection, for who opened it. Raises NotFound for everybody else."""
    allow(caller, "job.write", workspace)
    with deps.store.read() as tx:
        row = tx.get("connection", workspace, name)
    if row is None or row.created_by != caller.name:
        raise missing("connection", workspace, name)
    return row


def theirs(deps: Deps, site: str, name: str) -> Row:
    """The connection, for the site that it leads to. Raises NotFound."""
    with deps.store.read() as tx:
        rows = tx.find("connection", parent=site, name=name)
    if not rows:
        raise NotFound("NotFound", "this connection is not there (any more)")
    return rows[0]


def sweep(deps: Deps) -> int:
    """Forgets connections that are over, with all that was said; how many."""
    with turn(deps) as now:
        before = now.tx.now() - timedelta(seconds=KEPT_S)
        over = [row for row in now.tx.find("connection", limit=1000) if not _lives(row, before)]
        for row in over:
            now.tx.delete_logs(row.workspace, _owner(row))
            now.tx.delete("connection", row.workspace, row.name)
    return len(over)


def _site(tx: Tx, name: str) -> Row:
    site = need(tx, "site", "", name)
    if site.phase != ONLINE:
        raise Conflict("SiteOffline", f"site {name} is {site.phase}", "A shell needs the link to its site.")
    if CAPABILITY not in site.status.get("capabilities", ()):
        raise Refused(
            "NotSupported",
            f"site {name} lets nobody connect to jobs",
            "IT: set `connect` of the site, or of its chart.",
        )
    open_now = [row.parent for row in tx.find("connection", phases=(OPEN,)) if _lives(row, tx.now())]
    if open_now.count(name) >= PER_SITE or len(open_now) >= IN_ALL:
        raise Refused("LimitExceeded", f"{len(open_now)} connections are open", "Close one first.")
    return site


def _end(now: Turn, row: Row) -> None:
    """Its time is over now, and `sweep` goes by that."""
    now.tx.update(row.model_copy(update={"phase": CLOSED, "status": {"expires_at": now.tx.now().isoformat()}}))


def _lives(row: Row, now: datetime) -> bool:
    return datetime.fromisoformat(str(row.status["expires_at"])) > now


def _told(row: Row) -> Connection:
    spec = row.spec
    return Connection(
        id=row.name, uid=str(spec["uid"]), attempt=int(spec["attempt"]), ask=ConnectionAsk.model_validate(spec["ask"]),
        expires_at=datetime.fromisoformat(str(row.status["expires_at"])),
    )  # fmt: skip


def _owner(row: Row) -> str:
    return f"connection.{row.name}"


def _channel(site: str) -> str:
    return f"connect:{site}"
