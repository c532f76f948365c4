"""Logs that stay on the site are read there, while the gateway runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.domain.errors import NotFound, Unavailable
from ferryml.gateway.kept_logs import KeptLogs
from gateway_play import PlayPlace


def test_what_stays_is_listed_and_read(gateway: PlayPlace, tmp_path: Path) -> None:
    bound = gateway.admit("job.w.bound", workspace="w", zones=("eu",), release=("metrics",))
    free = gateway.admit("job.w.free", workspace="w")
    gateway.door.take_log(bound, "user_logs/std_log.txt", 0, b"one\n")
    gateway.door.take_log(bound, "user_logs/std_log.txt", 4, b"\xfftwo")
    gateway.door.take_log(free, "user_logs/std_log.txt", 0, b"leaves")
    kept = KeptLogs(tmp_path / "gateway.db")
    assert kept.list() == [{"workspace": "w", "job": "bound", "path": "user_logs/std_log.txt", "size": 8}]
    assert kept.list("w", "free") == kept.list("other") == []
    assert b"".join(kept.read("w", "bound", "user_logs/std_log.txt")) == b"one\n\xfftwo"
    with pytest.raises(NotFound):
        list(kept.read("w", "free", "user_logs/std_log.txt"))


def test_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no journal"):
        KeptLogs(tmp_path / "gateway.db")
    (tmp_path / "gateway.db").write_bytes(b"not a database" * 100)
    with pytest.raises(Unavailable, match="cannot be read"):
        KeptLogs(tmp_path / "gateway.db").list()
