import hashlib

import pytest

from ferryml.domain.errors import Refused
from ferryml.store import spool
from ferryml.store.spool import Spool


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_many_uploads_at_once_need_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "HASHES", 3)
    parts = Spool(tmp_path)
    for number in range(10):
        parts.append(f"u{number}", 0, [b"first "], 100)
    assert len(parts._hashes) == 3
    for number in range(10):
        parts.append(f"u{number}", 6, [str(number).encode()], 100)
        assert parts.finished(f"u{number}", digest(f"first {number}".encode())).exists()


def test_a_refused_piece_does_not_spoil_the_hash(tmp_path):
    parts = Spool(tmp_path)
    parts.append("u", 0, [b"abc"], 10)
    with pytest.raises(Refused):
        parts.append("u", 3, [b"x" * 5, b"y" * 5], 10)
    parts.append("u", 3, [b"def"], 10)
    assert parts.finished("u", digest(b"abcdef")).read_bytes() == b"abcdef"


def test_a_part_is_private(tmp_path):
    Spool(tmp_path / "spool").append("u", 0, [b"abc"], 10)
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
