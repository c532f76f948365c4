"""Instances by load: up at once, down after a while, never outside the bounds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, RevisionOrder, RolloutOrder
from ferryml.domain.scaling import CALM_S, Load, Moment, ScaleMemory, scale, scale_all

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


class Play:
    """Looks at an endpoint in whose rollout, if any, `old` is followed by `new`."""

    def __init__(self, *revisions: RevisionOrder) -> None:
        plan = RolloutOrder(rollout="r", deployment="d", champion="old", candidate="new")
        self.order = EndpointOrder(workspace="w", name="e", compute="c", revisions=revisions, rollout=plan)
        self.memories: dict[str, ScaleMemory] = {}
        self.now = T0

    def looks(self, loads: dict[str, int], after_s: float = 1, **known: bool) -> dict[str, int]:
        self.now += timedelta(seconds=after_s)
        moment = Moment({name: Load(busy) for name, busy in loads.items()}, **known)
        self.memories = scale_all(self.order, moment, self.memories, self.now)
        return {name: memory.wanted for name, memory in self.memories.items()}


def named(name: str, **more: int) -> RevisionOrder:
    return revision(**more).model_copy(update={"revision": name})


def test_each_revision_scales_by_its_own_load_and_fixed_ones_not_at_all():
    play = Play(named("old"), named("new"), named("fixed", least=2, most=2))
    assert play.looks({"old": 2, "fixed": 9}) == {"old": 3, "new": 1}


def test_the_old_side_of_a_rollout_loses_nobody_until_it_is_over():
    play = Play(named("old"))
    assert play.looks({"old": 3}, rolling=True) == {"old": 5}
    for _ in range(3):
        assert play.looks({}, CALM_S, rolling=True) == {"old": 5}
    assert play.looks({}) == {"old": 5}, "the calm begins anew"
    assert play.looks({}, CALM_S) == {"old": 1}


def test_the_new_side_has_as_many_as_the_old_one_within_its_own_bounds():
    """All the requests may be its own in a moment."""
    play = Play(named("old"), named("new", most=4))
    assert play.looks({"old": 2}, rolling=True) == {"old": 3, "new": 3}
    assert play.looks({"old": 3}, rolling=True) == {"old": 5, "new": 4}
    assert Play(named("old", least=2, most=2), named("new")).looks({}, rolling=True) == {"new": 2}
    assert Play(named("old"), named("new", most=1)).looks({"old": 2}, rolling=True) == {"old": 3}


def test_nobody_is_taken_away_while_a_router_is_silent():
    play = Play(named("old"))
    assert play.looks({"old": 3}) == {"old": 5}
    assert play.looks({}, CALM_S, whole=False) == play.looks({}, CALM_S, whole=False) == {"old": 5}
    assert play.looks({}) == {"old": 5}
    assert play.looks({}, CALM_S) == {"old": 1}


def test_what_is_heard_counts_although_a_router_is_silent():
    assert Play(named("old")).looks({"old": 2}, whole=False) == {"old": 3}


LOADS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


@given(st.integers(1, 4), st.integers(0, 6), st.integers(0, 100), LOADS)
def test_never_outside_the_bounds(least, extra, target, loads):
    memory, now = ScaleMemory(), T0
    for seconds, busy, queued in loads:
        now += timedelta(seconds=seconds)
        asked = revision(least, least + extra, target)
        memory = ScaleMemory.model_validate(scale(asked, Load(busy, queued), memory, now).model_dump(mode="json"))
        assert least <= memory.wanted <= least + extra
