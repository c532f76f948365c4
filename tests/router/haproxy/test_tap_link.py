"""The sidecar never waits for the tap, whatever the tap does."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from ferryml.domain.counters import Counters
from ferryml.router.haproxy.tap_link import TapLink
from router_load import eventually
from router_tables import a_table


class Desk:
    """Listens where the tap would."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.heard = b""

    def open(self) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen()

    def accept(self, read: bool = True) -> None:
        self.server.settimeout(5)
        self.link, _ = self.server.accept()
        if read:
            threading.Thread(target=self._read, args=(self.link,), daemon=True).start()

    def _read(self, link: socket.socket) -> None:
        try:
            while data := link.recv(65536):
                self.heard += data
        except OSError:
            pass

    def close(self) -> None:
        self.link.shutdown(socket.SHUT_RDWR)
        self.link.close()
        self.server.close()


@pytest.fixture
def desk(tmp_path):
    return Desk(str(tmp_path / "tap.sock"))


@pytest.fixture
def link(desk):
    made = TapLink(desk.path, lambda told: told_all.append(told), lambda *one: captured.append(one), period_s=0.01)
    told_all, captured = [], []
    made.told_all, made.captured_all = told_all, captured
    made.start()
    yield made
    made.stop()


def test_a_new_tap_learns_the_table_first(desk, link):
    link.use(a_table())
    link.offer([b"lost, for there is no tap yet"])
    assert link.dropped == 1
    for _ in range(2):
        desk.open()
        desk.heard = b""
        desk.accept()
        eventually(link.connected.is_set)
        link.offer([b"one", b"two"])
        eventually(lambda: b"C two\n" in desk.heard)
        lines = desk.heard.split(b"\n")
        assert lines[0].startswith(b"T {")
        assert lines.index(b"C one") < lines.index(b"C two")
        desk.close()
        eventually(lambda: not link.connected.is_set())
        Path(desk.path).unlink()


def test_what_it_says_is_passed_on(desk, link):
    desk.open()
    desk.accept()
    told = {
        "counters": {"r.d.a": Counters(boot="1", mirrored=2).model_dump(mode="json")},
        "captured": [["u", "i", "r", "1"]],
    }
    desk.link.sendall(b"nonsense\n{}\n" + json.dumps(told).encode() + b"\n")
    eventually(lambda: link.captured_all)
    assert link.captured_all == [("u", "i", "r", "1")]
    assert link.told_all == [{"r.d.a": Counters(boot="1", mirrored=2)}]
    desk.close()


def test_a_frozen_tap_costs_nobody_time(desk, link):
    desk.open()
    desk.accept(read=False)
    eventually(link.connected.is_set)
    began = time.monotonic()
    for _ in range(100):
        link.offer([b"x" * 100_000] * 10)
    assert time.monotonic() - began < 2
    assert link.dropped > 0
    desk.close()
