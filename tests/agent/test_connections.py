"""The site's end of shells: bytes both ways over a link that loses and repeats."""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ferryml.agent import connections
from ferryml.agent.connections import ConnectionLoop, Guarded, Relay
from ferryml.domain.connection import (
    Connection,
    ConnectionAsk,
    Connections,
    Frame,
    Frames,
    Piece,
    Terminal,
    exit_frame,
    exit_of,
    size_frame,
)  # fmt: skip
from ferryml.domain.errors import Conflict, Forbidden, Unavailable
from ferryml.domain.orders import EnvironmentOrder, JobOrder, Residency

ORDER = JobOrder(workspace="w", name="j", compute="c", command="x", environment=EnvironmentOrder(key="e"))
IT = Connection(id="c1", uid="job.w.j", attempt=1, ask=ConnectionAsk(), expires_at=datetime(2030, 1, 1, tzinfo=UTC))


class Link:
    """Every second call is lost, after it was heard."""

    def __init__(self, heard: bytes = b"") -> None:
        self.heard, self.said, self.calls = heard, b"", 0
        self.open = True
        self.ended = threading.Event()

    def _stumble(self) -> None:
        self.calls += 1
        if self.calls % 2:
            raise Unavailable("ServerUnreachable", "down")

    def connections(self, known: Sequence[str], wait_s: float) -> Connections:
        threading.Event().wait(0.01)
        return Connections(connections=(IT,) if self.open else ())

    def hear(self, connection: str, offset: int, wait_s: float) -> Piece:
        self._stumble()
        data = self.heard[offset : offset + 7]
        if not data:
            self.ended.wait(5)
        return Piece(offset=offset, data=base64.b64encode(data).decode(), over=not data and self.ended.is_set())

    def say(self, connection: str, piece: Piece) -> None:
        data = base64.b64decode(piece.data)
        self.said = self.said[: piece.offset] + data
        self._stumble()
        if piece.over:
            self.open = False
            self.ended.set()


class EchoShell:
    """Says what it is told, and ends with the input."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.sizes: list[Terminal] = []

    def read(self) -> Frame:
        return self.frames.get(timeout=5)

    def write(self, data: bytes) -> None:
        self.frames.put(Frame("data", data))

    def resize(self, terminal: Terminal) -> None:
        self.sizes.append(terminal)

    def end_input(self) -> None:
        self.frames.put(exit_frame(5))

    def close(self) -> None:
        self.frames.put(exit_frame(255, "closed"))


class EchoShells:
    def __init__(self) -> None:
        self.shell = EchoShell()

    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> EchoShell:
        return self.shell


class NoShells:
    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> EchoShell:
        raise Conflict("NotRunning", "it has ended")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RETRY_S", 0.005)


def said(link: Link) -> list[Frame]:
    return list(Frames().feed(link.said))


def test_bytes_go_both_ways_whatever_the_link_loses() -> None:
    frames = (size_frame(Terminal(rows=3)), Frame("data", b"hello " * 9), Frame("data", b"you"), Frame("end"))
    link, shells = Link(b"".join(frame.to_bytes() for frame in frames)), EchoShells()
    loop = ConnectionLoop(link, shells, lambda uid: ORDER)
    loop.start()
    assert link.ended.wait(10)
    loop.stop()
    found = said(link)
    assert b"".join(frame.payload for frame in found if frame.kind == "data") == b"hello " * 9 + b"you"
    assert exit_of(found[-1]) == (5, "")
    assert shells.shell.sizes == [Terminal(rows=3)]


def test_a_shell_that_cannot_be_had_is_said_so() -> None:
    link = Link()
    Relay(link, NoShells(), IT, lambda s: None).start()
    assert link.ended.wait(5)
    assert exit_of(said(link)[0]) == (255, "NotRunning: it has ended")


def test_the_site_looks_for_itself() -> None:
    with pytest.raises(Conflict, match="no such job"):
        Guarded(EchoShells(), lambda uid: None).open("job.w.j", 1, IT.ask)
    bound = ORDER.model_copy(update={"residency": Residency(zones=("onprem",))})
    with pytest.raises(Forbidden, match="bound to onprem"):
        Guarded(EchoShells(), lambda uid: bound).open("job.w.j", 1, IT.ask)
    assert Guarded(EchoShells(), lambda uid: ORDER).open("job.w.j", 1, IT.ask)


class DeafShell(EchoShell):
    """Reads nothing, so that whoever tells it something waits until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed, self.told = threading.Event(), threading.Event()

    def write(self, data: bytes) -> None:
        self.told.set()
        self.closed.wait(5)

    def close(self) -> None:
        self.closed.set()
        super().close()


def test_one_that_reads_nothing_ends_with_its_connection() -> None:
    link, shells = Link(Frame("data", b"x").to_bytes()), EchoShells()
    shells.shell = deaf = DeafShell()
    loop = ConnectionLoop(link, shells, lambda uid: ORDER)
    loop.start()
    assert deaf.told.wait(5)
    link.open = False  # who asked has gone
    assert deaf.closed.wait(5)
    loop.stop()


def test_a_site_that_stops_ends_its_shells() -> None:
    link, shells = Link(), EchoShells()
    loop = ConnectionLoop(link, shells, lambda uid: ORDER)
    loop.start()
    shells.shell.write(b"x")
    until = threading.Event()
    while not link.said and not until.wait(0.01):
        pass
    loop.stop()
    assert link.ended.wait(5)
    assert exit_of(said(link)[-1]) == (255, "closed")
