"""Paths of the artifact tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.control.ports import TreeFile
from ferryml.domain.errors import Refused
from ferryml.server.mlflow.tree import StoreTree, children, clean, scoped
from ferryml.store.blobs import open_blobs
from ferryml.store.database import open_store


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", ".", "a/./b", "..", "a/../b", "%2e%2e/a", "%252e%252e%252fa", "a\\b", "a\0b", "a\nb",
     "x" * 1001, "a%2f%2fb", "..%2fa"],
)  # fmt: skip
def test_hostile_paths_are_refused(path):
    with pytest.raises(Refused) as refusal:
        clean(path)
    assert refusal.value.code == "PathEscapes"


@pytest.mark.parametrize("path", ["a", "a/b c/ü.txt", "100%.txt", "...", "a..b", ".hidden"])
def test_plain_paths_stay(path):
    assert clean(path) == path


@given(st.text(max_size=60))
def test_what_is_clean_has_no_way_up(path):
    try:
        parts = clean(path).split("/")
    except Refused:
        return
    assert not {"", ".", ".."} & set(parts)


def test_mlflows_prefix_is_taken_off_for_ones_own_workspace():
    assert scoped("blue", "workspaces/blue/1/a") == scoped("blue", "1/a") == "1/a"
    assert scoped("blue", "workspaces/blue") == scoped("blue", "workspaces/blue/") == scoped("blue", "") == ""
    for other in ("workspaces/red/1/a", "workspaces/bluer/a", "workspaces", "workspaces/blue/../red/a"):
        with pytest.raises(Refused):
            scoped("blue", other)


def test_children_of_a_folder():
    files = [TreeFile(path=path, digest="sha256:" + "0" * 64, size=1) for path in ("a/b", "a/c/d", "a/c/e", "ab")]
    assert children(files, "a") == [("b", 1), ("c", None)]
    assert children(files, "") == [("a", None), ("ab", 1)]
    assert children(files, "a/b") == []


@pytest.fixture
def tree(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/ferry.db")
    yield StoreTree(store, open_blobs(f"file://{tmp_path}/artifacts"))
    store.close()


def test_files_of_two_workspaces_are_apart(tree):
    tree.put("blue", "a/b", [b"x", b"y"])
    tree.put("red", "a/b", [b"z"])
    assert b"".join(tree.read(tree.find("blue", "a/b"))) == b"xy"
    assert b"".join(tree.read(tree.find("blue", "a/b"), 1, 2)) == b"y"
    assert tree.find("blue", "a") is None
    assert tree.delete("blue", "a") == 1
    assert [file.path for file in tree.below("red", "")] == ["a/b"]
    assert tree.below("blue", "") == []
