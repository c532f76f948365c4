"""Outputs so far: for the next attempt alone, safe from trimming, gone when they are not needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ferryml.compile.tree import tree_bytes
from ferryml.domain.orders import Tree, TreeEntry, TreeRef
from ferryml.gateway.checkpoints import Checkpoints
from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller

FILE = "sha256:" + "f" * 64


def a_tree(name: str) -> tuple[TreeRef, Tree]:
    tree = Tree(entries=(TreeEntry(path=name, digest=FILE, size=1),))
    digest = f"sha256:{hashlib.sha256(tree_bytes(tree)).hexdigest()}"
    return TreeRef(digest=digest, kind="tree", size=1), tree


A, B = a_tree("a"), a_tree("b")


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Database(tmp_path / "g.db"), {ref.digest: tree for ref, tree in (A, B)}.__getitem__)


def attempt(number: int) -> Caller:
    return Caller("job.w.j", number, "w", "grant")


def test_the_newest_word_counts(kept: Checkpoints) -> None:
    kept.keep(attempt(1), "o", A[0])
    kept.keep(attempt(1), "o", B[0])
    assert kept.of("job.w.j", 1) == {"o": B[0]}
    assert kept.digests() == {B[0].digest, FILE}


def test_an_attempt_that_kept_nothing_began_with_what_the_one_before_left(kept: Checkpoints) -> None:
    kept.keep(attempt(1), "o", A[0])
    assert kept.of("job.w.j", 2) == {"o": A[0]}
    kept.keep(attempt(2), "o", B[0])
    assert kept.of("job.w.j", 2) == {"o": B[0]}
    kept.keep(attempt(3), "o", A[0])
    assert kept.of("job.w.j", 1) == {}


def test_what_has_ended_needs_none(kept: Checkpoints) -> None:
    kept.keep(attempt(1), "o", A[0])
    kept.keep(attempt(2), "o", B[0])
    kept.over("job.w.j", 2)
    assert (kept.of("job.w.j", 2), kept.digests()) == ({}, set())
