"""Work that waits beside other work, and what becomes of it at the end."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from ferryml.agent.side_by_side import SideBySide
from ferryml.domain.errors import Conflict, Unavailable

LIMIT_S = 5


def test_one_at_a_time_is_done_where_its_result_is_asked_for() -> None:
    done: list[int] = []
    beside = SideBySide(1, "t")
    first, second = (beside.begin(partial(done.append, n)) for n in (1, 2))
    assert done == []
    second.result()
    first.result()
    beside.close()
    assert done == [2, 1]


def test_several_wait_together() -> None:
    beside, meet = SideBySide(3, "t"), threading.Barrier(3, timeout=LIMIT_S)
    begun = [beside.begin(meet.wait) for _ in range(3)]
    assert sorted(one.result() for one in begun) == [0, 1, 2]
    beside.close()


def fails() -> None:
    raise Conflict("AlreadyExists", "there is one")


@pytest.mark.parametrize("width", [1, 2])
def test_what_it_raises_comes_out(width: int) -> None:
    beside = SideBySide(width, "t")
    with pytest.raises(Conflict):
        beside.begin(fails).result()
    beside.close()


def test_what_has_not_begun_is_given_up_and_what_has_begun_ends() -> None:
    beside, go = SideBySide(2, "t"), threading.Event()
    begun = [beside.begin(lambda: go.wait(LIMIT_S)) for _ in range(5)]
    beside.close()
    go.set()
    assert [begun[0].result(), begun[1].result()] == [True, True]
    for one in begun[2:]:
        with pytest.raises(Unavailable):
            one.result()
    with pytest.raises(Unavailable):
        beside.begin(go.is_set)
