"""The loop over rollouts: eligible, happy, stale, contended; order, failure and absence over several sites."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import deployments, rollouts
from ferryml.control.loops import offline
from ferryml.control.loops import rollouts as loop
from ferryml.control.loops.rollouts import tick
from loop_play import COMMAND, Point, begun, never_written, plan, rollout, rolls, states


@pytest.fixture
def point(play):
    play.site()
    return Point(play).serves(environment_variables={"WHO": "old"})


@pytest.fixture
def both(play):
    """Endpoints `near` on cloud and `far` on onprem."""
    play.site()
    play.site("onprem", compute="c2")
    old = {"WHO": "old"}
    near = Point(play, "near").serves(environment_variables=old)
    return near, Point(play, "far", "onprem", "c2").serves(environment_variables=old)


def goes_silent(play, site):
    other = "cloud" if site == "onprem" else "onprem"
    play.dice.passes(play.settings.site_offline_s + 1)
    play.beat(other)
    offline.tick(play.deps)


def test_nothing_to_do_is_nothing_done(play, point):
    assert tick(play.deps) == 0


def test_it_is_carried_from_the_first_word_to_the_end(play, point):
    begun(play)
    assert point.rollout == "r1"
    assert states(play) == {"digits": "pending"}
    assert tick(play.deps) == 0
    point.says("stepping", step=0, percent=50)
    rolls(play)
    assert states(play) == {"digits": "stepping"}
    point.says("promoted", percent=100)
    rolls(play)
    assert rollout(play)["status"] == "promoted"
    assert point.model == "new"
    assert tick(play.deps) == 0


def test_it_is_linked_to_the_deployment(play, point):
    begun(play)
    candidate = point.order.rollout.candidate
    with play.store.read() as tx:
        [edge] = tx.edges(WORKSPACE, source="rollout:r1")
    assert edge.target == f"deployment:digits/blue:{candidate}"


def test_killed_between_telling_the_site_and_writing_it_begins_once(play, point):
    rollouts.create(play.deps, OWNER, WORKSPACE, plan())
    with never_written(play, "rollout", "r1"):
        tick(play.deps)
    candidate = point.order.rollout.candidate
    rolls(play)
    assert point.order.rollout.candidate == candidate
    assert rollout(play)["ferry"]["endpoints"]["digits"]["revision"] == candidate
    with play.store.read() as tx:
        assert len(tx.edges(WORKSPACE, source="rollout:r1")) == 1


def test_a_stale_look_writes_nothing(play, point):
    rollouts.create(play.deps, OWNER, WORKSPACE, plan())
    with play.store.read() as tx:
        stale = tx.get("rollout", WORKSPACE, "r1")
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "pause")
    assert loop._write(play.deps, stale, "promoted", {"reason": "no"}) == 0
    assert rollout(play)["status"] == "running"


def test_a_busy_endpoint_is_waited_for(play, point):
    deployments.create(play.deps, OWNER, WORKSPACE, "digits", {**COMMAND, "name": "green"})
    begun(play)
    assert states(play) == {"digits": ""}
    assert "under way" in rollout(play)["ferry"]["endpoints"]["digits"]["reason"]
    point.says("promoted")
    point.says()
    rolls(play)
    assert states(play) == {"digits": "pending"}


def test_one_in_trouble_does_not_hold_up_the_others(play, both):
    rollouts.create(play.deps, OWNER, WORKSPACE, plan("near"))
    rollouts.create(play.deps, OWNER, WORKSPACE, {**plan("far"), "name": "r2"})
    with play.store.begin() as tx:
        tx.update(tx.get("rollout", WORKSPACE, "r1").model_copy(update={"spec": {"of": "a later version"}}))
    rolls(play)
    assert states(play, "r2") == {"far": "pending"}


def test_paused_before_it_began_it_does_not_begin(play, point):
    rollouts.create(play.deps, OWNER, WORKSPACE, plan())
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "pause")
    rolls(play)
    assert point.rollout == ""
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "resume")
    rolls(play)
    assert point.rollout == "r1"


def test_an_endpoint_that_is_gone_fails_it(play, point):
    begun(play)
    with play.store.begin() as tx:
        tx.delete("endpoint", WORKSPACE, "digits")
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"
    assert "deleted" in rollout(play)["ferry"]["reason"]


def test_one_whose_deployment_lost_its_traffic_fails(play, point):
    rollouts.create(play.deps, OWNER, WORKSPACE, plan())
    deployments.create(play.deps, OWNER, WORKSPACE, "digits", {**COMMAND, "name": "green"}, True)
    point.says("promoted")
    point.says()
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"
    assert "green has it" in rollout(play)["ferry"]["endpoints"]["digits"]["reason"]


def test_a_first_deployment_takes_all_traffic(play):
    play.site()
    point = Point(play)
    begun(play)
    point.says("promoted")
    rolls(play)
    assert point.order.traffic == {"blue": 100}


def test_sequential_is_one_after_another(play, both):
    near, far = both
    begun(play, "near", "far")
    assert (near.rollout, far.rollout) == ("r1", "")
    near.says("promoted")
    rolls(play)
    assert far.rollout == "r1"
    assert rollout(play)["status"] == "running"
    far.says("promoted")
    rolls(play)
    assert rollout(play)["status"] == "promoted"


def test_parallel_is_all_at_once(play, both):
    near, far = both
    begun(play, "near", "far", order="parallel")
    assert (near.rollout, far.rollout) == ("r1", "r1")


def fails_at_the_second(play, both, **changes):
    near, far = both
    begun(play, "near", "far", **changes)
    near.says("promoted")
    near.says()
    rolls(play)
    far.says("rolled_back")
    rolls(play)


def test_rollback_all_takes_the_first_back(play, both):
    near, _ = both
    fails_at_the_second(play, both)
    assert rollout(play)["status"] == "undoing"
    near.says("promoted")
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"
    assert near.model == "old"
    assert states(play) == {"near": "rolled_back", "far": "rolled_back"}


def test_killed_while_taking_back_it_is_taken_back_once(play, both):
    near, far = both
    begun(play, "near", "far")
    near.says("promoted")
    near.says()
    rolls(play)
    far.says("rolled_back")
    tick(play.deps)
    assert rollout(play)["status"] == "undoing"
    with never_written(play, "rollout", "r1"):
        tick(play.deps)
    near.says("promoted")
    near.says()
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"
    assert near.model == "old"
    assert "could not" not in rollout(play)["ferry"]["endpoints"]["near"]["reason"]


def test_rollback_failed_leaves_the_first_as_it_is(play, both):
    near, _ = both
    fails_at_the_second(play, both, on_failure="rollback_failed")
    assert rollout(play)["status"] == "rolled_back"
    assert near.model == "new"


def test_hold_waits_for_a_person_who_may_take_all_back(play, both):
    near, _ = both
    fails_at_the_second(play, both, on_failure="hold")
    assert rollout(play)["status"] == "holding"
    assert tick(play.deps) == 0
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "rollback")
    rolls(play)
    near.says("promoted")
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"
    assert near.model == "old"


def test_a_site_that_is_away_is_waited_for(play, both):
    near, far = both
    goes_silent(play, "cloud")
    begun(play, "near", "far")
    assert rollout(play)["status"] == "running"
    assert "offline" in rollout(play)["ferry"]["reason"]
    assert far.rollout == ""
    play.beat("cloud")
    near.says("promoted")
    rolls(play)
    assert far.rollout == "r1"


def test_a_site_that_is_away_is_skipped(play, both):
    near, far = both
    goes_silent(play, "cloud")
    begun(play, "near", "far", on_offline="skip")
    assert (near.rollout, far.rollout) == ("", "r1")
    far.says("promoted")
    rolls(play)
    assert rollout(play)["status"] == "promoted"
    assert rollout(play)["ferry"]["skipped"] == ["near"]
    assert near.model == "old"


def test_a_site_that_goes_away_with_the_order_is_told_to_leave_it(play, both):
    near, far = both
    begun(play, "near", "far", on_offline="skip")
    goes_silent(play, "cloud")
    rolls(play)
    assert far.rollout == "r1"
    assert near.order.rollout.command == "rollback"


def test_a_site_that_is_away_fails_it_where_that_is_asked(play, both):
    near, far = both
    goes_silent(play, "cloud")
    begun(play, "near", "far", on_offline="fail")
    assert rollout(play)["status"] == "rolled_back"
    assert (near.rollout, far.rollout) == ("", "")
