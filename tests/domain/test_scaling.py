"""Instances by load: up at once, down after a while, never outside the bounds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.orders import EnvironmentOrder, RevisionOrder
from ferryml.domain.scaling import CALM_S, Load, ScaleMemory, scale

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def revision(least: int = 1, most: int = 5, target: int = 70, concurrent: int = 1) -> RevisionOrder:
    return RevisionOrder(
        revision="r", deployment="d", flavor="script", environment=EnvironmentOrder(key="k"), instances=least,
        max_instances=most, target_utilization=target, max_concurrent_requests=concurrent,
    )  # fmt: skip


def looks(asked: RevisionOrder, *loads: tuple[float, int, int]) -> list[int]:
    memory, wanted = ScaleMemory(), []
    for seconds, busy, queued in loads:
        memory = scale(asked, Load(busy, queued), memory, T0 + timedelta(seconds=seconds))
        wanted.append(memory.wanted)
    return wanted


def test_a_fixed_count_is_fixed():
    assert looks(revision(3, 3), (0, 100, 100)) == [3]
    assert looks(revision(2, 5, target=0), (0, 100, 100)) == [2]


def test_up_at_once_by_as_many_as_are_needed():
    assert looks(revision(), (0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 1, 9)) == [1, 2, 3, 5]


def test_concurrency_counts():
    assert looks(revision(concurrent=10), (0, 7, 0), (1, 8, 0)) == [1, 2]


def test_down_only_after_a_calm_while():
    seen = looks(revision(), (0, 3, 0), (1, 0, 0), (CALM_S, 0, 0), (CALM_S + 2, 0, 0))
    assert seen == [5, 5, 5, 1]


def test_a_peak_in_the_calm_counts():
    seen = looks(revision(), (0, 3, 0), (1, 0, 0), (10, 1, 0), (CALM_S + 2, 0, 0))
    assert seen == [5, 5, 5, 2]


def test_load_that_comes_back_ends_the_calm():
    seen = looks(revision(), (0, 3, 0), (1, 0, 0), (10, 4, 0), (CALM_S + 2, 0, 0))
    assert seen == [5, 5, 5, 5]


LOADS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


@given(st.integers(1, 4), st.integers(0, 6), st.integers(0, 100), LOADS)
def test_never_outside_the_bounds(least, extra, target, loads):
    memory, now = ScaleMemory(), T0
    for seconds, busy, queued in loads:
        now += timedelta(seconds=seconds)
        asked = revision(least, least + extra, target)
        memory = ScaleMemory.model_validate(scale(asked, Load(busy, queued), memory, now).model_dump(mode="json"))
        assert least <= memory.wanted <= least + extra
