"""Content becomes local files."""

import pytest

from ferryml.compile.tree import bytes_digest, tree_bytes
from ferryml.domain.errors import Conflict, Refused, Unavailable
from ferryml.domain.orders import Tree, TreeEntry, TreeRef
from ferryml.sdk.downloads import download
from ferryml.sdk.flow import Answer


def test_a_folder_arrives_whole_and_twice_is_once(desk, client, tmp_path):
    tree = desk.folder({"a/b.txt": b"one", "c.txt": b"two"})
    done = []
    files = client.run(download("team", tree, tmp_path / "x", lambda *pair: done.append(pair)))
    assert {file.relative_to(tmp_path / "x").as_posix(): file.read_bytes() for file in files} == {
        "a/b.txt": b"one", "c.txt": b"two",
    }  # fmt: skip
    assert done[-1] == (6, 6)
    client.run(download("team", tree, tmp_path / "x"))
    (tmp_path / "x" / "c.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"c\.txt"):
        client.run(download("team", tree, tmp_path / "x"))
    assert (tmp_path / "x" / "c.txt").read_text() == "mine"


def test_a_half_file_is_finished(desk, client, tmp_path):
    data = b"0123456789" * 1000
    digest = desk.upload(data)
    (tmp_path / ".f.part").write_bytes(data[:777])
    client.run(download("team", TreeRef(digest=digest, size=len(data), kind="file", name="f"), tmp_path))
    assert (tmp_path / "f").read_bytes() == data
    assert not (tmp_path / ".f.part").exists()


def test_wrong_bytes_leave_nothing(tmp_path):
    flow = download("w", TreeRef(digest=bytes_digest(b"right"), size=5, kind="file", name="f"), tmp_path)
    call = next(flow)
    with open(call.save_to, "wb") as file:
        file.write(b"wrong")
    with pytest.raises(Unavailable) as caught:
        flow.send(Answer(200, {}, b""))
    assert caught.value.code == "DigestMismatch"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/abs", "a/../../b"])
def test_no_name_leaves_the_folder(tmp_path, path):
    with pytest.raises(Refused):
        next(download("w", TreeRef(digest=bytes_digest(b"x"), size=1, kind="file", name=path), tmp_path))
    good = Tree(entries=(TreeEntry(path="name", digest=bytes_digest(b"x"), size=1),))
    manifest = tree_bytes(good).replace(b'"name"', f'"{path}"'.encode())
    flow = download("w", TreeRef(digest=bytes_digest(manifest), size=1), tmp_path / "x")
    next(flow)
    with pytest.raises(Refused):
        flow.send(Answer(200, {}, manifest))
