"""This side of a shell, against a job's end that answers what it is told."""

import os
import queue
import threading

from ferryml.cli.connecting import Desk
from ferryml.domain.connection import Frame, Frames, exit_frame
from ferryml.domain.errors import Conflict, Unavailable


class EchoJobs:
    """Answers data with the same, and the end of the input with an exit; every other call is lost."""

    def __init__(self) -> None:
        self.out, self.frames, self.calls = b"", Frames(), 0
        self.news: queue.Queue[int] = queue.Queue()
        self.closed, self.heard = threading.Event(), 0

    def connection_say(self, connection: str, offset: int, data: bytes) -> None:
        fresh, self.heard = data[self.heard - offset :], offset + len(data)
        for frame in self.frames.feed(fresh):
            self.out += (exit_frame(4) if frame.kind == "end" else Frame("data", frame.payload)).to_bytes()
        self.news.put(1)
        self.calls += 1
        if self.calls % 2:
            raise Unavailable("ServerUnreachable", "the answer is lost")

    def connection_hear(self, connection: str, offset: int, wait_s: float) -> tuple[bytes, bool]:
        if offset >= len(self.out):
            self.news.get(timeout=5)
        return self.out[offset:], False

    def connection_close(self, connection: str) -> None:
        self.closed.set()
        raise Conflict("NotRunning", "it is over already")


class Over(EchoJobs):
    def connection_hear(self, connection: str, offset: int, wait_s: float) -> tuple[bytes, bool]:
        return b"", True


def test_bytes_come_back_and_so_does_the_code(capfdbinary):
    source, keys = os.pipe()
    os.write(keys, b"typed \xff")
    os.close(keys)
    jobs = EchoJobs()
    assert Desk(jobs, "c1", terminal=False, source=source).run() == 4
    os.close(source)
    assert jobs.closed.is_set()


class Away(EchoJobs):
    def connection_hear(self, connection: str, offset: int, wait_s: float) -> tuple[bytes, bool]:
        raise Unavailable("ServerUnreachable", "nobody answers")


def test_a_server_that_stays_away_is_given_up():
    source, keys = os.pipe()
    desk = Desk(Away(), "c1", terminal=False, source=source, patience_s=0)
    assert desk.run() == 255
    assert desk.reason == "given up: nobody answers"
    os.close(keys)


def test_an_end_without_a_code_has_words():
    source, keys = os.pipe()
    desk = Desk(Over(), "c1", terminal=False, source=source)
    assert desk.run() == 255
    assert "its time is over" in desk.reason
    os.close(keys)
