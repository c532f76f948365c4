"""A rollout as scripts, and its invariant as a property: what serves is never harmed by what is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.orders import RolloutOrder, RolloutStep
from ferryml.domain.rollout import TERMINAL, Decision, RolloutSeen, Window, begin, decide
from ferryml.domain.statuses import RolloutStatus

T0 = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "aaaaaaaaaa", "bbbbbbbbbb"
NONE = Window()


def an_order(**changes: object) -> RolloutOrder:
    base: dict[str, object] = {
        "rollout": "r1", "deployment": "blue", "champion": OLD, "candidate": NEW, "mirror_percent": 20,
        "mirror_min_requests": 50, "max_error_rate": 0.02, "max_p99_ratio": 1.5,
        "steps": tuple(RolloutStep(percent=p, min_requests=20, timeout_s=60) for p in (10, 50, 100)),
    }  # fmt: skip
    return RolloutOrder.model_validate(base | changes)


class Play:
    """Runs a rollout turn by turn."""

    def __init__(self, order: RolloutOrder) -> None:
        self.order, self.now = order, T0
        self.status: RolloutStatus = begin(order, T0)
        self.last: Decision | None = None

    def sees(self, *, ready: bool = True, new: Window = NONE, old: Window = NONE, broken: str = "",
             after: float = 1.0, state: str, weight: int, mirror: int = 0, blind: bool = False,
             displaced: str = "") -> Play:  # fmt: skip
        self.now += timedelta(seconds=after)
        seen = RolloutSeen(
            ready and not blind, champion=old, candidate=new, broken=broken, champion_ready=not blind,
            displaced=displaced,
        )  # fmt: skip
        self.last = decide(self.order, self.status, seen, self.now)
        self.status = self.last.status
        assert self.status.state == state, self.status.reason
        assert self.last.weights.get(NEW, 0) == weight
        assert self.last.mirror.get(NEW, 0) == mirror
        return self

    def command(self, word: str) -> Play:
        self.order = self.order.model_copy(update={"command": word})
        return self


def good(n: int, p99: float = 10.0) -> Window:
    return Window(requests=n, p99_ms=p99)


def test_a_good_candidate_goes_through_mirror_and_steps():
    play = Play(an_order())
    play.sees(ready=False, state="preparing", weight=0)
    play.sees(state="mirroring", weight=0, mirror=20)
    play.sees(new=Window(mirrored=10), state="mirroring", weight=0, mirror=20)
    play.sees(new=Window(mirrored=50), state="stepping", weight=10)
    play.sees(new=good(20), old=good(180), state="stepping", weight=50)
    play.sees(new=good(20), old=good(20), state="stepping", weight=100)
    play.sees(new=good(20), state="promoted", weight=100)
    assert [e.transition for e in play.status.evidence] == [
        "preparing -> mirroring", "mirroring -> step 10 %", "step 10 % -> step 50 %", "step 50 % -> step 100 %",
        "step 100 % -> promoted",
    ]  # fmt: skip
    assert play.status.evidence[2].figures["champion"]["requests"] == 180


def test_what_is_not_ready_any_more_goes_back_but_only_to_something_that_is():
    play = Play(an_order(mirror_percent=0))
    play.sees(state="stepping", weight=10)
    play.sees(blind=True, new=good(99), old=good(99), state="stepping", weight=10)
    play.command("promote").sees(blind=True, new=good(99), old=good(99), state="stepping", weight=10)
    play.command("run").sees(new=good(99), old=good(99), state="stepping", weight=50)
    play.sees(ready=False, state="rolled_back", weight=0)
    assert play.status.reason == "the new revision is not ready any more"
    bad = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    bad.sees(blind=True, new=Window(requests=20, errors=9), state="rolled_back", weight=0)


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (Window(requests=20, errors=5, p99_ms=9), good(180), "error rate"),
        (Window(requests=3, errors=3, p99_ms=9), good(27), "error rate"),
        (good(20, p99=100), good(180, p99=10), "p99"),
    ],
)
def test_a_bad_canary_is_rolled_back_with_figures(new: Window, old: Window, words: str):
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(new=new, old=old, state="rolled_back", weight=0)
    assert words in play.status.reason
    play.sees(new=good(500), old=good(500), state="rolled_back", weight=0)


def test_one_early_error_is_not_yet_a_verdict():
    Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10).sees(
        new=Window(requests=2, errors=1, p99_ms=9), state="stepping", weight=10
    )


def test_an_absolute_latency_bound():
    play = Play(an_order(mirror_percent=0, max_p99_ms=50)).sees(state="stepping", weight=10)
    play.sees(new=good(20, p99=51), old=good(2, p99=51), state="rolled_back", weight=0)


def test_mirror_errors_and_mismatches_stop_it_before_any_traffic():
    play = Play(an_order(max_mismatch_rate=0.1)).sees(state="mirroring", weight=0, mirror=20)
    play.sees(new=Window(mirrored=30, mismatches=9), state="rolled_back", weight=0)
    play = Play(an_order()).sees(state="mirroring", weight=0, mirror=20)
    play.sees(new=Window(mirrored=5, mirror_errors=5), state="rolled_back", weight=0)


def test_a_candidate_that_cannot_start_fails_and_the_old_one_serves():
    Play(an_order()).sees(ready=False, broken="UserScriptInitFailed", state="failed", weight=0)
    Play(an_order(ready_timeout_s=5)).sees(ready=False, after=6, state="failed", weight=0)


def test_a_candidate_that_breaks_under_traffic_is_rolled_back():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(ready=False, state="rolled_back", weight=0)


@pytest.mark.parametrize(
    ("policy", "state", "weight"),
    [("hold", "holding", 10), ("rollback", "rolled_back", 0), ("proceed", "stepping", 50)],
)
def test_too_few_requests_in_time(policy: str, state: str, weight: int):
    steps = tuple(RolloutStep(percent=p, min_requests=20, timeout_s=60, on_timeout=policy) for p in (10, 50))
    play = Play(an_order(mirror_percent=0, steps=steps)).sees(state="stepping", weight=10)
    play.sees(after=61, state=state, weight=weight)


def test_a_hold_goes_on_when_the_requests_arrive():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(after=61, state="holding", weight=10)
    play.sees(new=good(20), old=good(180), state="stepping", weight=50)


def test_people_pause_resume_promote_and_roll_back():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.command("pause").sees(new=good(50), old=good(50), state="paused", weight=10)
    play.command("run").sees(state="stepping", weight=10)
    play.command("promote").sees(state="promoted", weight=100)
    Play(an_order()).sees(state="mirroring", weight=0, mirror=20).command("rollback").sees(
        state="rolled_back", weight=0
    )


def test_a_paused_canary_that_fails_is_still_rolled_back():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.command("pause").sees(state="paused", weight=10)
    play.sees(new=Window(requests=30, errors=30), old=good(30), state="rolled_back", weight=0)


LOST = {"ready": False, "displaced": "its node is gone"}


def test_one_that_its_node_took_along_is_waited_for_while_the_old_one_answers():
    play = Play(an_order()).sees(state="mirroring", weight=0, mirror=20)
    play.sees(**LOST, state="mirroring", weight=0)
    play.sees(new=Window(mirrored=50), state="stepping", weight=10)
    play.sees(**LOST, new=good(30), old=good(30), after=30, state="stepping", weight=0)
    assert play.status.reason == "the old revision answers alone until the new one is back: its node is gone"
    play.sees(new=good(5), old=good(5), state="stepping", weight=10)
    assert play.status.reason == "the new revision is back"
    play.sees(new=good(20), old=good(20), state="stepping", weight=50)


def test_it_is_waited_for_no_longer_than_its_step_may_last():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(**LOST, after=59, state="stepping", weight=0)
    play.sees(**LOST, after=2, state="rolled_back", weight=0)
    assert play.status.reason == "the new revision did not come back within 60 s of its step: its node is gone"


def test_one_that_is_away_is_not_promoted_and_may_still_be_bad():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.command("promote").sees(**LOST, state="stepping", weight=0)
    play.sees(**LOST, new=Window(requests=30, errors=30), state="rolled_back", weight=0)


def test_nobody_is_sent_to_the_old_one_while_it_is_not_seen_either():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(**LOST, blind=True, after=90, state="stepping", weight=10)


def test_without_a_champion_ready_is_enough():
    play = Play(an_order(champion=None)).sees(ready=False, state="preparing", weight=0)
    assert play.last is not None
    assert dict(play.last.weights) == {}
    play.sees(state="promoted", weight=100)


windows = st.builds(
    Window, requests=st.integers(0, 60), errors=st.integers(0, 60), p99_ms=st.none() | st.floats(0, 1000),
    mirrored=st.integers(0, 60), mismatches=st.integers(0, 60), mirror_errors=st.integers(0, 60),
)  # fmt: skip
turns = st.tuples(
    st.booleans(), windows, windows, st.sampled_from(["", "", "", "crash"]), st.floats(0, 120),
    st.sampled_from(["run", "run", "run", "pause", "promote", "rollback"]), st.sampled_from(["", "node lost"]),
)  # fmt: skip


@given(st.lists(turns, max_size=30), st.integers(0, 50))
def test_what_serves_is_never_harmed_by_what_is_new(script: list[tuple], mirror: int):
    order = an_order(mirror_percent=mirror, max_mismatch_rate=0.5)
    status, now, ended = begin(order, T0), T0, ""
    for ready, old, new, broken, after, command, displaced in script:
        now += timedelta(seconds=after)
        order = order.model_copy(update={"command": command})
        seen = RolloutSeen(ready, champion=old, candidate=new, broken=broken, displaced=displaced)
        decision = decide(order, status, seen, now)
        status = decision.status
        assert decide(order, status, seen, now).status.step >= status.step
        assert sum(decision.weights.values()) == 100
        if ended:
            assert status.state == ended
        elif not ready or broken:
            assert decision.weights == {OLD: 100}, "an unready candidate got traffic"
        if status.state not in TERMINAL:
            assert decision.weights.get(NEW, 0) in (0, 10, 50, 100)
            if decision.weights.get(NEW, 0) == 100:
                assert status.step == 2
        if decision.mirror:
            assert decision.weights == {OLD: 100}
        ended = status.state if status.state in TERMINAL else ""
    assert RolloutStatus.model_validate_json(status.model_dump_json()) == status


def test_a_step_that_compares_waits_for_the_champions_requests_too():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(new=good(20), old=good(180), state="stepping", weight=50)
    play.sees(new=good(60, p99=400), old=good(5), state="rolled_back", weight=0)


def test_a_slow_one_is_never_let_through_for_want_of_comparison():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(new=good(60, p99=400), old=good(5), state="stepping", weight=10)
    play.sees(new=good(80, p99=400), old=good(20), state="rolled_back", weight=0)


def test_alone_at_the_end_it_is_held_against_the_champions_last_figures():
    play = Play(an_order(mirror_percent=0)).sees(state="stepping", weight=10)
    play.sees(new=good(20), old=good(180), state="stepping", weight=50)
    play.sees(new=good(20), old=good(20), state="stepping", weight=100)
    play.sees(new=good(20, p99=400), state="rolled_back", weight=0)
