"""Rollouts as people ask for them: refused whole, shown with evidence, commanded."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import deployments, rollouts
from ferryml.control.context import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden
from loop_play import COMMAND, Point, begun, plan, rollout, rolls, states


@pytest.fixture
def point(play):
    play.site()
    return Point(play).serves()


def create(play, **changes):
    return rollouts.create(play.deps, OWNER, WORKSPACE, plan(**changes))


def test_it_is_remembered_and_shown(play, point):
    made = create(play)
    assert (made["name"], made["status"]) == ("r1", "running")
    assert rollouts.list_rollouts(play.deps, OWNER, WORKSPACE, 0, 10)["items"][0]["name"] == "r1"
    assert "caller" not in str(made["ferry"])


def test_one_without_a_name_is_given_one(play, point):
    assert rollouts.create(play.deps, OWNER, WORKSPACE, {**plan(), "name": None})["name"].startswith("rollout-")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"endpoints": ["nowhere"]}, "NotFound"), ({"deployment": {"name": "blue"}}, "MissingField"),
        ({"steps": [50, 10]}, "BadValue"), ({"endpoints": ["digits", "digits"]}, "BadValue"),
        ({"deployment": {**COMMAND, "model": "azureml:none:1"}}, "NotFound"),
        ({"deployment": {**COMMAND, "endpoint_name": "other"}}, "BadValue"),
        ({"deployment": {**COMMAND, "name": "green"}}, "BadReference"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_now(play, point, changes, wanted):
    with pytest.raises(FerryError) as caught:
        create(play, **changes)
    assert caught.value.code == wanted
    assert rollouts.list_rollouts(play.deps, OWNER, WORKSPACE, 0, 10)["items"] == []


def test_a_name_is_taken_once(play, point):
    create(play)
    with pytest.raises(Conflict) as caught:
        create(play)
    assert caught.value.code == "AlreadyExists"


def test_a_reader_only_looks(play, point):
    reader = Caller("rita", "reader", WORKSPACE)
    with pytest.raises(Forbidden):
        rollouts.create(play.deps, reader, WORKSPACE, plan())
    begun(play)
    assert rollouts.show(play.deps, reader, WORKSPACE, "r1")["status"] == "running"
    with pytest.raises(Forbidden):
        rollouts.act(play.deps, reader, WORKSPACE, "r1", "promote")


@pytest.mark.parametrize(
    ("verb", "command"), [("promote", "promote"), ("pause", "pause"), ("rollback", "rollback"), ("resume", "run")]
)
def test_a_command_reaches_the_site(play, point, verb, command):
    begun(play)
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", verb)
    assert point.order.rollout.command == command


def test_a_rollback_that_meets_the_loop_beginning_is_not_lost(play, point):
    """The site was told, and the row does not say so yet: as after kill -9 between the two."""
    create(play)
    deployment = rollouts.spec_of(_row(play)).deployment.model_copy(update={"endpoint_name": "digits"})
    rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "rollback")
    deployments.roll(
        play.deps, OWNER, WORKSPACE, "digits", deployment, rollouts.plan_of(rollouts.spec_of(_row(play)), "r1")
    )
    rolls(play)
    assert point.order.rollout.command == "rollback"
    assert rollout(play)["status"] == "undoing"
    point.says("rolled_back")
    rolls(play)
    assert rollout(play)["status"] == "rolled_back"


def test_an_ended_one_takes_no_commands(play, point):
    begun(play)
    point.says("promoted")
    rolls(play)
    with pytest.raises(Conflict):
        rollouts.act(play.deps, OWNER, WORKSPACE, "r1", "rollback")


def test_the_evidence_of_the_site_is_shown(play, point):
    begun(play)
    point.says("stepping", step=0, percent=10)
    rolls(play)
    told = rollout(play)["ferry"]["endpoints"]["digits"]
    assert (told["state"], told["percent"]) == ("stepping", 10)
    assert told["evidence"][0]["figures"] == {"requests": 1}


def test_its_end_is_known_although_another_operation_began_at_once(play, point):
    """The server died between the site's word and the loop, and somebody was quick."""
    begun(play)
    point.says("promoted")
    point.says()
    deployments.update(play.deps, OWNER, WORKSPACE, "digits", "blue", {"environment_variables": {"WHO": "newer"}})
    rolls(play)
    assert states(play) == {"digits": "promoted"}
    assert rollout(play)["status"] == "promoted"


def test_the_plan_says_all_to_the_site(play, point):
    begun(
        play, mirror={"percent": 30, "min_requests": 7, "max_mismatch_rate": 0.5}, steps=[10, 100],
        per_step={"min_requests": 3, "min_duration": "1m", "timeout": "2m", "on_timeout": "rollback"},
        rollback_if={"max_error_rate": 0.02, "max_p99_ratio": 2, "max_p99_ms": 50, "min_requests": 9},
    )  # fmt: skip
    order = point.order.rollout
    assert (order.mirror_percent, order.mirror_min_requests, order.max_mismatch_rate) == (30, 7, 0.5)
    assert [(s.percent, s.min_requests, s.min_duration_s, s.timeout_s, s.on_timeout) for s in order.steps] == [
        (10, 3, 60, 120, "rollback"), (100, 3, 60, 120, "rollback"),
    ]  # fmt: skip
    assert (order.max_error_rate, order.max_p99_ratio, order.max_p99_ms, order.min_sample) == (0.02, 2, 50, 9)
    assert order.champion in {one.revision for one in point.order.revisions}


def _row(play):
    with play.store.read() as tx:
        return tx.get("rollout", WORKSPACE, "r1")
