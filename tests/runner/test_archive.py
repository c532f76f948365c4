import io
import os
import tarfile

import pytest

from ferryml.runner.archive import pack, unpack
from ferryml.runner.stage import Escapes


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / "in"
    (top / "bin").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "bin/tool").write_text("#!/bin/sh\n")
    (top / "bin/tool").chmod(0o755)
    (top / "a.py").write_text("x = 1\n")
    os.link(top / "a.py", top / "b.py")
    (top / "link").symlink_to("/usr/bin/env")
    (top / "lib64").symlink_to("bin")
    return top


def test_a_folder_comes_back_as_it_was(folder, tmp_path):
    pack(str(folder), str(tmp_path / "x.tar.gz"))
    out = tmp_path / "out"
    out.mkdir()
    with open(tmp_path / "x.tar.gz", "rb") as file:
        assert unpack(file, str(out)) == 10 + 6 + 6
    assert sorted(path.name for path in out.rglob("*")) == [
        "a.py", "b.py", "bin", "empty", "lib64", "link", "tool",
    ]  # fmt: skip
    assert (os.readlink(out / "link"), os.readlink(out / "lib64")) == ("/usr/bin/env", "bin")
    assert os.access(out / "bin/tool", os.X_OK)
    assert not os.access(out / "a.py", os.X_OK)
    assert (out / "a.py").stat().st_mtime == 946_684_800


def test_the_same_folder_is_the_same_archive(folder, tmp_path):
    first = pack(str(folder), str(tmp_path / "1"))
    os.utime(folder / "a.py", (1, 1))
    assert pack(str(folder), str(tmp_path / "2")) == first
    (folder / "a.py").write_text("x = 2\n")
    assert pack(str(folder), str(tmp_path / "3")) != first


def hostile(*members):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 1 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"x"))
    data.seek(0)
    return data


FILE, LINK, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "")],
        [("/etc/x", FILE, "")],
        [("a", LINK, "/tmp"), ("a/x", FILE, "")],
        [("a", LINK, "/tmp"), ("a/deep/x", FILE, "")],
        [("a", FILE, ""), ("a", LINK, "/etc/passwd")],
        [("a", LINK, "b"), ("a", FILE, "")],
        [("a", tarfile.LNKTYPE, "/etc/passwd")],
        [("a", tarfile.FIFOTYPE, "")],
        [("a", tarfile.CHRTYPE, "")],
        [("a\nb", FILE, "")],
    ],
)
def test_nothing_is_written_outside(members, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Escapes):
        unpack(hostile(*members), str(out))
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_no_archive_is_said(tmp_path):
    with pytest.raises(ValueError, match="damaged"):
        unpack(io.BytesIO(b"no archive at all" * 100), str(tmp_path))
