"""A rollout over several endpoints: order, failure and absence by policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferryml.domain.fleet import SiteSeen, Turn, decide
from ferryml.domain.spec.rollout import RolloutPlan

S = SiteSeen


def a_plan(**changes: object) -> RolloutPlan:
    return RolloutPlan.model_validate({"deployment": {"name": "blue"}, "endpoints": ["one", "two"]} | changes)


def test_one_after_another():
    plan = a_plan()
    assert decide(plan, {}).start == ("one",)
    assert decide(plan, {"one": S("stepping")}).start == ()
    assert decide(plan, {"one": S("promoted")}).start == ("two",)
    assert decide(plan, {"one": S("promoted"), "two": S("promoted")}) == Turn("promoted", "serves on one, two")


def test_all_together():
    assert decide(a_plan(order="parallel"), {}).start == ("one", "two")


def test_one_bad_site_takes_the_others_back():
    seen = {"one": S("promoted"), "two": S("rolled_back", "p99 too high")}
    assert decide(a_plan(), seen) == Turn("rolled_back", "two: p99 too high", undo=("one",))
    assert decide(a_plan(on_failure="rollback_failed"), seen) == Turn("rolled_back", "two: p99 too high")
    assert decide(a_plan(on_failure="hold"), seen).state == "holding"


def test_the_good_ones_may_go_on():
    seen = {"one": S("failed", "no"), "two": S("stepping")}
    turn = decide(a_plan(on_failure="rollback_failed", order="parallel"), seen)
    assert (turn.state, turn.undo) == ("running", ())


def test_offline_sites_wait_are_skipped_or_fail():
    away = {"one": S("", offline=True)}
    assert decide(a_plan(), away) == Turn("running", "waiting for the site of one, which is offline", start=("one",))
    turn = decide(a_plan(on_offline="skip"), away)
    assert (turn.start, turn.skipped) == (("two",), ("one",))
    turn = decide(a_plan(on_offline="skip"), {"two": S("promoted")}, ("one",))
    assert turn == Turn("promoted", "serves on two; skipped because offline: one", skipped=("one",))
    assert decide(a_plan(on_offline="fail"), away).state == "rolled_back"


STATES = ["", "pending", "preparing", "stepping", "promoted", "rolled_back", "failed"]
sites = st.builds(SiteSeen, state=st.sampled_from(STATES), offline=st.booleans())


@given(
    st.dictionaries(st.sampled_from(["one", "two"]), sites),
    st.sampled_from(["sequential", "parallel"]),
    st.sampled_from(["rollback_all", "rollback_failed", "hold"]),
    st.sampled_from(["wait", "skip", "fail"]),
)
def test_nothing_new_starts_once_one_is_bad(seen: dict[str, SiteSeen], order: str, failure: str, offline: str):
    turn = decide(a_plan(order=order, on_failure=failure, on_offline=offline), seen)
    bad = [name for name, site in seen.items() if site.state in ("rolled_back", "failed")]
    if bad:
        assert turn.start == ()
        assert turn.state != "promoted"
    assert all(seen.get(name, S()).state == "" for name in turn.start)
    if order == "sequential":
        assert len(turn.start) <= 1
