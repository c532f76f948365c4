from __future__ import annotations

from ferryml.domain.orders import Tree, TreeEntry
from ferryml.gateway.journal import Caller
from ferryml.gateway.ranks import Ranks
from gateway_play import PlayPlace


def a_tree(**files: str) -> Tree:
    return Tree(entries=tuple(TreeEntry(path=p, digest=f"sha256:{d * 64}", size=1) for p, d in sorted(files.items())))


def rank(number: int) -> Caller:
    return Caller("job.w.j", 1, "w", "", number)


def test_parts_become_one_and_the_lower_rank_is_right(gateway: PlayPlace) -> None:
    ranks, trees = Ranks(gateway.db), {"d0": a_tree(both="0", zero="0"), "d1": a_tree(both="1", one="1")}
    assert ranks.joined(rank(1), "o", "d1", trees["d1"], trees.__getitem__) is trees["d1"]
    whole = ranks.joined(rank(0), "o", "d0", trees["d0"], trees.__getitem__)
    assert {entry.path: entry.digest[7] for entry in whole.entries} == {"both": "0", "one": "1", "zero": "0"}
    assert [entry.path for entry in whole.entries] == ["both", "one", "zero"]


def test_what_a_rank_says_again_replaces_its_part(gateway: PlayPlace) -> None:
    ranks, trees = Ranks(gateway.db), {"a": a_tree(x="0"), "b": a_tree(y="1")}
    ranks.joined(rank(0), "o", "a", trees["a"], trees.__getitem__)
    assert ranks.joined(rank(0), "o", "b", trees["b"], trees.__getitem__) is trees["b"]


def test_the_job_has_ended_when_all_have(gateway: PlayPlace) -> None:
    ranks = Ranks(gateway.db)
    assert ranks.finish(rank(1), 143, 3) is None
    assert ranks.finish(rank(1), 143, 3) is None
    assert ranks.finish(rank(0), 0, 3) is None
    assert ranks.finish(rank(2), 0, 3) == 143
    assert ranks.exit_code("job.w.j", 1) == 143
    assert ranks.exit_code("job.w.j", 2) is None
