"""Steps on one compute of several: each is safe to take twice, and what is refused is said and not tried again."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import detaching
from ferryml.control.spreading import caller_of, member_name, take
from ferryml.domain.errors import Conflict
from ferryml.domain.names import RULES
from ferryml.domain.spread import Add, Deploy, Drop, Remove, Share
from spread_play import SpreadPlay


@pytest.fixture
def there(play):
    made = SpreadPlay(play)
    made.serving()
    return made


def test_no_endpoint_of_peoples_is_called_so():
    assert RULES["endpoint"].fault(member_name("digits", "c1"))


def test_steps_are_taken_in_the_name_of_who_asked_last(there):
    assert caller_of(there.looked().row).name == OWNER.name


def test_adding_twice_changes_nothing(there):
    there.update(compute=["c1"])
    there.calm()
    stale = there.looked()
    there.update(compute=["c1", "c2"])
    assert take(there.deps, stale, "c2", Add()) == 0, "somebody was faster"
    assert take(there.deps, there.looked(), "c2", Add()) == 1
    with pytest.raises(Conflict):
        take(there.deps, there.looked(), "c2", Add())


def test_removing_twice_changes_nothing(there):
    seen = there.looked()
    assert take(there.deps, seen, "c2", Remove()) == 1
    there.says("c2")
    assert take(there.deps, seen, "c2", Remove()) == 0


def test_what_is_under_way_is_a_conflict(there):
    there.renew(environment_variables={"A": "1"})
    there.turns()
    before = there.sites["c1"].order()
    take(there.deps, there.looked(), "c1", Deploy("blue"))
    assert there.sites["c1"].order() == before, "it is on its way already"
    for step in (Share({}, {}), Drop("blue")):
        with pytest.raises(Conflict):
            take(there.deps, there.looked(), "c1", step)


def test_without_a_member_there_is_nothing_to_share_or_drop(there):
    seen = there.looked()
    for step in (Share({}, {}), Drop("blue")):
        assert take(there.deps, seen, "c9", step) == 0


def test_what_a_compute_refuses_is_said_and_not_tried_again(there):
    there.goes("c2")
    there.renew(environment_variables={"A": "1"})
    there.calm()
    detaching.detach(there.deps, OWNER, WORKSPACE, "c2", "keep")
    there.returns("c2")
    there.calm()
    told = there.shown()["ferry"]["sites"]["c2"]
    assert (told["provisioning_state"], told["code"]) == ("Failed", "ComputeNotFound")
    assert there.shown()["provisioning_state"] == "Failed"
    assert there.seen()["provisioning_state"] == "Succeeded", "it goes on serving what it had"
    there.update(compute=["c1"])
    there.calm()
    assert there.shown()["provisioning_state"] == "Succeeded"
