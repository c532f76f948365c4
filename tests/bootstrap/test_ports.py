"""Doors keep their numbers over restarts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ferryml.bootstrap.ports import last_port, listen
from ferryml.domain.errors import Refused

HOST = "127.0.0.1"


def test_the_next_life_has_the_same_port(tmp_path: Path) -> None:
    memory = tmp_path / "port"
    with listen(memory, HOST, 0) as first:
        number = first.getsockname()[1]
    assert last_port(memory, HOST, 0) == number
    with listen(memory, HOST, 0) as second:
        assert second.getsockname()[1] == number


def test_a_port_taken_by_another_is_given_up(tmp_path: Path) -> None:
    memory = tmp_path / "port"
    with socket.create_server((HOST, 0)) as other:
        memory.write_text(str(other.getsockname()[1]))
        with listen(memory, HOST, 0) as mine:
            assert mine.getsockname()[1] != other.getsockname()[1]


def test_a_port_that_was_asked_for_is_taken_or_refused(tmp_path: Path, free_port: int) -> None:
    memory = tmp_path / "port"
    with listen(memory, HOST, free_port) as door:
        assert door.getsockname()[1] == free_port
        with pytest.raises(Refused):
            listen(memory, HOST, free_port)


@pytest.mark.parametrize("text", ["", "many", "-5", "70000"])
def test_a_spoiled_memory_is_no_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "port").write_text(text)
    assert last_port(tmp_path / "port", HOST, 0) == 0
