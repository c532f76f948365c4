import hashlib
import os
import stat

import pytest

from ferryml.domain.errors import Unavailable
from ferryml.store import files


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_pieces_give_the_window_and_never_much_at_once(tmp_path):
    data = os.urandom(2 * files.PIECE + 5)
    (tmp_path / "f").write_bytes(data)
    parts = list(files.pieces(tmp_path / "f", 3, len(data) - 1))
    assert b"".join(parts) == data[3:-1]
    assert max(map(len, parts)) <= files.PIECE
    assert list(files.pieces(tmp_path / "f", 5, 5)) == []
    assert list(files.pieces(tmp_path / "f", 9, 2)) == []
    assert files.digest_of(tmp_path / "f") == digest(data)


def test_write_says_what_it_wrote(tmp_path):
    (tmp_path / "f").write_bytes(b"older and longer")
    assert files.write(tmp_path / "f", [b"ab", b"", b"c"]) == (digest(b"abc"), 3)
    assert (tmp_path / "f").read_bytes() == b"abc"


def test_scratch_is_private_and_goes_away(tmp_path):
    with files.scratch(tmp_path / "new" / "deep") as path:
        assert path.exists()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert not path.exists()


def test_what_was_moved_away_stays(tmp_path):
    with files.scratch(tmp_path) as path:
        path.write_bytes(b"abc")
        files.move_into_place(path, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").read_bytes() == b"abc"


def test_a_move_replaces(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "source").write_bytes(b"new")
    files.move_into_place(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"new"
    assert not (tmp_path / "source").exists()


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_a_move_between_disks_is_still_at_once(tmp_path):
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(dir="/dev/shm") as other:
        source = type(tmp_path)(other) / "source"
        source.write_bytes(b"abc")
        if source.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("one file system")
        files.move_into_place(source, tmp_path / "target")
        assert not source.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target").read_bytes() == b"abc"


def test_a_full_disk_has_its_own_code_and_other_errors_stay():
    import errno

    def fails(number):
        with files.disk_full():
            raise OSError(number, "no")

    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(Unavailable) as caught:
            fails(number)
        assert caught.value.code == "DiskFull"
    with pytest.raises(PermissionError):
        fails(errno.EACCES)
