"""A rollout's windows: from the moment its step began, for both revisions, also over restarts of router and agent."""

from datetime import UTC, datetime, timedelta

from ferryml.agent.endpoint_rollout import RolloutMemory, rollout_turn, under_way
from ferryml.domain.counters import Counters
from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, RevisionOrder, RolloutOrder, RolloutStep
from ferryml.domain.seen import InstanceSeen
from ferryml.domain.serving import ServingSeen

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Play:
    """Turns of one rollout from `a` to `b`; both are ready."""

    def __init__(self, **plan) -> None:
        both = [
            RevisionOrder(revision=name, deployment="blue", flavor="script", environment=EnvironmentOrder(key="k"))
            for name in ("a", "b")
        ]
        self.plan = RolloutOrder(rollout="r", deployment="blue", champion="a", candidate="b", **plan)
        self.order = EndpointOrder(
            workspace="w", name="e", compute="c", revisions=tuple(both), rollout=self.plan, serving={"blue": "a"}
        )
        self.seen = ServingSeen(tuple(InstanceSeen(revision=n, instance=0, state="ready", port=1) for n in ("a", "b")))
        self.status, self.memory, self.now = None, RolloutMemory(), T0
        self.totals = {name: Counters(boot="x") for name in ("a", "b")}

    def turn(self):
        self.now += timedelta(seconds=1)
        made = rollout_turn(self.order, self.status, self.memory, self.seen, self.totals, self.now)
        self.status, self.memory = made.status, RolloutMemory.model_validate(made.memory.model_dump(mode="json"))
        return made

    def counts(self, name: str, **figures) -> None:
        self.totals[name] = self.totals[name].model_copy(update=figures)


def test_without_a_rollout_there_is_nothing():
    play = Play()
    play.order = play.order.model_copy(update={"rollout": None})
    made = play.turn()
    assert (made.status, made.split, made.running) == (None, None, False)


def test_it_is_under_way_until_its_own_end_was_decided():
    play = Play(steps=(RolloutStep(percent=50, min_requests=1),))
    assert under_way(play.order, None)
    play.turn()
    assert under_way(play.order, play.status)
    play.counts("b", requests=1)
    assert play.turn().status.state == "promoted"
    assert not under_way(play.order, play.status)
    assert under_way(play.order, play.status.model_copy(update={"rollout": "the one before"}))
    assert not under_way(play.order.model_copy(update={"rollout": None}), play.status)


def test_a_step_counts_from_its_own_beginning():
    play = Play(steps=(RolloutStep(percent=10, min_requests=5), RolloutStep(percent=50, min_requests=5)))
    play.counts("b", requests=100)
    assert play.turn().split.weights == {"a": 90, "b": 10}
    assert play.turn().status.percent == 10
    play.counts("b", requests=105)
    assert play.turn().split.weights == {"a": 50, "b": 50}
    assert play.turn().status.percent == 50
    play.counts("b", requests=110)
    made = play.turn()
    assert (made.status.state, made.split.weights) == ("promoted", {"b": 100})
    assert not made.running


def test_a_router_that_restarts_makes_the_step_wait_not_pass():
    play = Play(steps=(RolloutStep(percent=10, min_requests=5),))
    play.counts("b", requests=100)
    play.turn()
    play.totals = {name: Counters(boot="y", requests=3) for name in ("a", "b")}
    assert play.turn().status.state == "stepping"
    play.counts("b", requests=5)
    assert play.turn().status.state == "promoted"


def test_errors_since_the_step_began_roll_back():
    play = Play(steps=(RolloutStep(percent=10, min_requests=50),), max_error_rate=0.1)
    play.counts("b", requests=100, errors=100)
    play.turn()
    assert play.turn().status.state == "stepping"
    play.counts("b", requests=104, errors=103)
    made = play.turn()
    assert (made.status.state, made.split.weights, made.split.discarded) == ("rolled_back", {"a": 100}, "b")


def test_another_rollout_begins_anew():
    play = Play(steps=(RolloutStep(percent=10, min_requests=5),))
    play.turn()
    again = play.plan.model_copy(update={"rollout": "r2"})
    play.order = play.order.model_copy(update={"rollout": again})
    assert play.turn().status.rollout == "r2"


def test_a_candidate_that_cannot_start_fails_it():
    play = Play()
    dead = InstanceSeen(revision="b", instance=0, state="failed", code="UserScriptInitFailed", reason="boom")
    play.seen = ServingSeen((play.seen.instances[0], dead))
    made = play.turn()
    assert made.status.state == "failed"
    assert "boom" in made.status.reason


def test_a_candidate_that_is_late_says_what_it_waited_for():
    play = Play(ready_timeout_s=1.5)
    waits = InstanceSeen(revision="b", instance=0, state="starting", code="PodUnschedulable", reason="0/1 nodes")
    play.seen = ServingSeen((play.seen.instances[0], waits))
    assert play.turn().status.state == "preparing"
    play.turn()
    assert play.turn().status.reason == "the new revision was not ready within 1.5 s: 0/1 nodes"


def test_a_cluster_that_has_lost_sight_of_both_concludes_nothing():
    play = Play(steps=(RolloutStep(percent=10, min_requests=5),))
    play.turn()
    ready = play.seen
    play.seen = ServingSeen()
    play.counts("b", requests=100)
    made = play.turn()
    assert (made.status.state, made.split.weights) == ("stepping", {"a": 90, "b": 10})
    play.seen = ServingSeen(ready.instances[:1])
    assert play.turn().status.state == "rolled_back"


def test_a_candidate_that_lost_its_node_is_waited_for_and_one_that_crashed_is_not():
    play = Play(steps=(RolloutStep(percent=10, min_requests=5),))
    play.turn()
    old = play.seen.instances[0]
    lost = InstanceSeen(revision="b", instance=0, state="unready", code="NodeLost", reason="no sight of its node")
    play.seen = ServingSeen((old, lost))
    made = play.turn()
    assert (made.split.weights, made.running) == ({"a": 100}, True)
    again = InstanceSeen(revision="b", instance=0, state="exited", reason="it raised", restarts=1)
    play.seen = ServingSeen((old, again))
    assert play.turn().status.reason == "the new revision is not ready any more: it raised"
