"""One turn of an endpoint, as a script; and the invariant under anything that sites and people may do."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, RevisionOrder
from ferryml.domain.seen import InstanceSeen
from ferryml.domain.serving import (
    Plan,
    Prepared,
    ServingMemory,
    ServingSeen,
    Split,
    broken,
    displaced,
    is_ready,
    percents,
    plan,
    waiting,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def revision(name: str, deployment: str = "blue", **fields) -> RevisionOrder:
    return RevisionOrder(
        revision=name, deployment=deployment, flavor="script", environment=EnvironmentOrder(key="k"), **fields
    )


def order(*revisions: RevisionOrder, **fields) -> EndpointOrder:
    return EndpointOrder(workspace="w", name="e", compute="c", revisions=revisions, **fields)


def up(name: str, instance: int = 0, state: str = "ready", **fields) -> InstanceSeen:
    return InstanceSeen(revision=name, instance=instance, state=state, port=5000 + instance, **fields)


def turn(asked, *instances, split=None, memory=None, now=T0, prepared=None, busy=None) -> Plan:
    seen = ServingSeen(tuple(instances), prepared or {}, busy or {})
    return plan(asked, split, seen, memory or ServingMemory(), now, drain_s=10)


A, B = revision("a"), revision("b")
BLUE = {"traffic": {"blue": 100}, "serving": {"blue": "a"}}


def test_what_is_wished_is_started_once():
    asked = order(revision("a", instances=2), **BLUE)
    assert turn(asked).counts == {"a": 2}
    assert turn(asked, up("a", 0, "starting")).counts == {"a": 2}


def test_nothing_starts_before_its_files_and_environment_are_there():
    waiting = {"a": Prepared("waiting", "bringing files")}
    made = turn(order(A, **BLUE), prepared=waiting)
    assert made.counts == {"a": 0}
    assert (made.revisions[0].state, made.revisions[0].reason) == ("Creating", "bringing files")


def test_what_runs_stays_while_its_files_are_looked_for_anew():
    waiting = {"a": Prepared("waiting", "bringing files")}
    asked = order(revision("a", instances=3), **BLUE)
    assert turn(asked, up("a"), up("a", 1, "starting"), prepared=waiting).counts == {"a": 2}


def test_what_is_ending_is_nobodys_instance():
    asked = order(revision("a", instances=2), **BLUE)
    made = turn(asked, up("a"), up("a", 1, "ending"), up("b", 0, "ending"))
    assert made.counts == {"a": 2}
    assert made.memory.draining == {}
    assert [one.instance for one in made.upstreams["a"]] == [0]


def test_of_several_that_leave_the_last_go_first():
    asked = order(A, **BLUE)
    first = turn(asked, up("a"), up("a", 1), up("a", 2))
    assert first.counts == {"a": 3}
    later = {"memory": first.memory, "now": T0 + timedelta(seconds=1)}
    assert turn(asked, up("a"), up("a", 1), up("a", 2), busy={("a", 1): 1}, **later).counts == {"a": 2}


def test_traffic_times_the_rollouts_split():
    green = revision("g", "green")
    asked = order(A, B, green, traffic={"blue": 80, "green": 20}, serving={"blue": "a", "green": "g"})
    split = Split("blue", {"a": 90, "b": 10}, {})
    made = turn(asked, up("a"), up("b"), up("g"), split=split)
    assert made.weights == {"a": 7200, "b": 800, "g": 2000}
    assert percents(made.weights) == {"a": 72, "b": 8, "g": 20}
    assert made.direct == {"blue": "a", "green": "g"}


def test_a_first_deployment_has_no_weight_until_it_is_promoted():
    asked = order(A, traffic={"blue": 100})
    assert turn(asked, up("a", 0, "starting"), split=Split("blue", {}, {})).weights == {}
    assert turn(asked, up("a"), split=Split("blue", {"a": 100}, {})).weights == {"a": 10_000}


def test_a_discarded_candidate_drains_and_ends():
    asked = order(A, B, **BLUE)
    split = Split("blue", {"a": 100}, {}, discarded="b")
    first = turn(asked, up("a"), up("b"), split=split, memory=ServingMemory(serving={"blue": "a"}))
    assert first.counts == {"a": 1, "b": 1}
    assert "b" not in {name for name, found in first.upstreams.items() if found}
    later = turn(asked, up("a"), up("b"), split=split, memory=first.memory, now=T0 + timedelta(seconds=1))
    assert later.counts == {"a": 1, "b": 0}


def test_a_busy_instance_is_drained_but_not_for_ever():
    asked = order(A, **BLUE)
    first = turn(asked, up("a"), up("a", 1))
    assert len(first.upstreams["a"]) == 1
    for seconds, count in ((1, 2), (9, 2), (10, 1)):
        made = turn(
            asked, up("a"), up("a", 1), memory=first.memory, now=T0 + timedelta(seconds=seconds), busy={("a", 1): 1}
        )
        assert made.counts == {"a": count}


def test_what_a_wish_forgot_is_known_while_it_drains():
    before = turn(order(A, B, **BLUE), up("a"), up("b"))
    after = turn(order(B, traffic={"blue": 100}, serving={"blue": "b"}), up("a"), up("b"), memory=before.memory)
    assert [one.revision for one in after.running] == ["a", "b"]
    assert after.weights == {"b": 10_000}
    assert "a/0" in after.memory.draining


def test_the_old_one_serves_until_the_new_one_is_ready():
    before = turn(order(A, **BLUE), up("a"))
    new = order(B, traffic={"blue": 100}, serving={"blue": "b"})
    held = turn(new, up("a"), up("b", 0, "starting"), memory=before.memory)
    assert (held.weights, held.direct, held.counts) == ({"a": 10_000}, {"blue": "a"}, {"a": 1, "b": 1})
    done = turn(new, up("a"), up("b"), memory=held.memory)
    assert (done.weights, done.direct) == ({"b": 10_000}, {"blue": "b"})


def test_mirrors_of_people_and_of_rollouts():
    green = revision("g", "green")
    asked = order(A, B, green, mirror_traffic={"green": 20}, serving={"blue": "a", "green": "g"}, traffic={"blue": 100})
    made = turn(asked, up("a"), up("b"), up("g"), split=Split("blue", {"a": 100}, {"b": 30}))
    assert made.mirror == {"g": 20, "b": 30}


def test_a_failed_revision_says_why():
    asked = order(A, B, **BLUE)
    dead = up("b", 0, "failed", code="UserScriptInitFailed", reason="init() raised", log_tail="Traceback")
    status = {one.revision: one for one in turn(asked, up("a"), dead).revisions}
    assert (status["a"].state, status["b"].state) == ("Succeeded", "Failed")
    assert (status["b"].code, status["b"].traceback) == ("UserScriptInitFailed", "Traceback")
    assert broken("b", ServingSeen((dead,))) == "UserScriptInitFailed: init() raised"
    assert broken("a", ServingSeen((up("a"),))) == ""
    assert broken("a", ServingSeen(prepared={"a": Prepared("failed", "no numpy", "EnvironmentFailed")}))


def test_what_a_bound_program_printed_stays_on_the_site():
    bound = revision("a", residency={"zones": ("eu",), "release": ("models",)})
    failed = up("a", state="failed", code="UserScriptInitFailed", reason="bad row: 7, Ada", log_tail="Traceback: Ada")
    [said] = turn(order(bound), failed).revisions
    assert (said.state, said.code, said.traceback) == ("Failed", "UserScriptInitFailed", "")
    assert "Ada" not in said.reason
    [said] = turn(order(revision("a")), failed).revisions
    assert (said.reason, said.traceback) == ("bad row: 7, Ada", "Traceback: Ada")


def test_why_it_is_not_ready_yet():
    starting = up("a", 0, "starting", reason="pulling its image")
    assert waiting(A, ServingSeen((starting,))) == "pulling its image"
    assert waiting(A, ServingSeen((starting,), {"a": Prepared("waiting", "making the environment")})) == (
        "making the environment"
    )
    bound = revision("a", residency={"zones": ("eu",), "release": ("models",)})
    assert waiting(bound, ServingSeen((starting,))) == ""


def test_ready_means_all_at_first_and_one_later():
    two = revision("a", instances=2)
    assert not is_ready(two, [up("a")], whole=True)
    assert is_ready(two, [up("a")], whole=False)
    assert is_ready(two, [up("a"), up("a", 1)], whole=True)


def test_a_crash_does_not_take_success_back():
    first = turn(order(A, **BLUE), up("a"))
    crashed = turn(order(A, **BLUE), up("a", 0, "exited", restarts=1), memory=first.memory)
    assert (crashed.revisions[0].state, crashed.revisions[0].ready) == ("Succeeded", 0)
    assert crashed.weights == {"a": 10_000}


STATES = st.sampled_from(["starting", "ready", "unready", "exited", "failed"])
NAMES = ("a", "b", "c")
STEP = st.tuples(
    st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES), max_size=3),
    st.fixed_dictionaries(dict.fromkeys(NAMES, STATES)), st.integers(0, 30),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_what_serves_is_untouchable_until_the_new_one_is_ready(steps):
    """Whatever the server wishes and whatever breaks, a ready revision in effect keeps its weight and its instances
    for as long as the one that is wished for in its place is not ready."""
    memory, now = ServingMemory(), T0
    for wanted, listed, states, seconds in steps:
        now += timedelta(seconds=seconds)
        names = sorted({wanted, *listed})
        asked = order(*map(revision, names), traffic={"blue": 100}, serving={"blue": wanted})
        seen = ServingSeen(tuple(up(name, 0, states[name]) for name in NAMES))
        before = memory.serving.get("blue")
        made = plan(asked, None, seen, memory, now, drain_s=10)
        assert set(made.weights.values()) == {10_000}
        if before and states[before] == "ready" and states[wanted] != "ready":
            assert made.weights == {before: 10_000}
            assert made.counts[before] == 1
            assert made.upstreams[before]
        assert all(made.counts[name] == 1 for name in made.weights)
        assert plan(asked, None, seen, memory, now, drain_s=10) == made
        memory = made.memory


@given(
    st.lists(st.integers(0, 100), min_size=3, max_size=3), st.integers(0, 100), st.booleans(),
)  # fmt: skip
def test_weights_add_up_to_what_people_said(shares, percent, rolling):
    total = sum(shares)
    traffic = dict(zip(("blue", "green", "red"), shares, strict=True))
    revisions = [A, B, revision("g", "green"), revision("r", "red")]
    asked = order(*revisions, traffic=traffic, serving={"blue": "a", "green": "g", "red": "r"})
    split = Split("blue", {"a": 100 - percent, "b": percent}, {}) if rolling else None
    made = turn(asked, *(up(one.revision) for one in revisions), split=split)
    assert sum(made.weights.values()) == total * 100


def test_what_the_site_took_away_is_told_apart_from_what_failed():
    lost = up("a", 0, "unready", code="NodeLost", reason="no sight of its node")
    anew = up("a", 1, "starting")
    assert displaced(A, ServingSeen((lost, anew, up("a", 2, "ending"), up("b", state="exited")))) == lost.reason
    assert displaced(A, ServingSeen((anew,))) == "its instances have to begin anew"
    for own in (
        up("a", 2, "exited", restarts=1), up("a", 2, "starting", restarts=1), up("a", 2, "failed"),
        up("a", 2, "unready", code="ResourceNotReady"),
    ):  # fmt: skip
        assert displaced(A, ServingSeen((lost, anew, own))) == "", own
