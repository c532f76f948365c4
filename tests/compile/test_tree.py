"""Equal folders must be equal bytes, and no manifest may write outside its folder."""

import pytest

from ferryml.compile.tree import check_path, parse_tree, subtree, tree_bytes, tree_digest, tree_ref
from ferryml.domain.errors import Refused
from ferryml.domain.orders import Tree, TreeEntry

A = "sha256:" + "a" * 64
B = "sha256:" + "b" * 64


def entry(path: str, digest: str = A, size: int = 1) -> TreeEntry:
    return TreeEntry(path=path, digest=digest, size=size)


def test_order_of_entries_does_not_matter():
    one = Tree(entries=(entry("b"), entry("a/c", B)))
    other = Tree(entries=(entry("a/c", B), entry("b")))
    assert tree_bytes(one) == tree_bytes(other)
    assert tree_digest(one) == tree_digest(other)


def test_bytes_are_exact_and_come_back():
    tree = Tree(entries=(entry("ü"),))
    assert tree_bytes(tree) == ('{"entries":[{"path":"ü","digest":"' + A + '","size":1,"executable":false}]}').encode()
    assert parse_tree(tree_bytes(tree)) == tree
    assert tree_ref(tree, "m").size == 1


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "a\0b", "C:x", "x" * 300, "a\nb", "\ud800"],
)
def test_paths_that_escape_are_refused(path):
    with pytest.raises(Refused) as caught:
        check_path(path)
    assert caught.value.code == "PathEscapes"


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("x/y/z", "x/y")])
def test_two_entries_may_not_fight_over_a_path(paths):
    with pytest.raises(Refused, match=r"twice|both"):
        tree_bytes(Tree(entries=tuple(entry(path) for path in paths)))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"entries":[{"path":"a"}]}', b'{"entries":[],"x":1}'])
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(Refused):
        parse_tree(data)


def test_subtree_is_rebased():
    tree = Tree(entries=(entry("m/a"), entry("m/b/c", B), entry("n")))
    assert [e.path for e in subtree(tree, "m").entries] == ["a", "b/c"]
    assert [e.path for e in subtree(tree, "m/a").entries] == ["a"]
    assert subtree(tree, "").entries == tree.entries
    assert subtree(tree, "absent").entries == ()
