import tarfile

import pytest

from ferryml.domain.errors import Conflict, Refused
from ferryml.store.archive import new_archive, open_archive


@pytest.fixture(params=["folder", "one.tar"])
def target(request, tmp_path):
    return tmp_path / "deep" / request.param


def test_members_come_back(target):
    with new_archive(target) as archive:
        archive.add("a/b", 5, iter([b"ab", b"", b"cde"]))
        archive.add("empty", 0, [])
    with open_archive(target) as archive:
        assert archive.size("a/b") == 5
        assert b"".join(archive.read("a/b")) == b"abcde"
        assert archive.size("empty") == 0
        assert archive.size("absent") is None


def test_a_failure_leaves_nothing(target):
    class Stop(Exception):
        pass

    def fail():
        with new_archive(target) as archive:
            archive.add("a", 1, [b"a"])
            raise Stop

    with pytest.raises(Stop):
        fail()
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("size", [2, 4])
def test_a_member_of_another_size_than_announced_is_refused(target, size):
    with pytest.raises(Conflict), new_archive(target) as archive:
        archive.add("a", size, [b"ab", b"c"])
    assert not target.exists()


def test_links_in_an_archive_are_no_members(tmp_path):
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").symlink_to(tmp_path / "secret")
    for source in ("x.tar", "folder"):
        with open_archive(tmp_path / source) as archive:
            assert archive.size("a") is None


def test_a_compressed_or_other_file_is_refused(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"PK\x03\x04" * 500)
    with pytest.raises(Refused), open_archive(tmp_path / "x.tar"):
        pass
