"""Workspaces: closed only when empty, and names that nobody inherits."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import detaching, tokens, workspaces
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused, Unauthenticated


def test_only_one_who_owns_everything_makes_workspaces(play):
    with pytest.raises(Forbidden):
        workspaces.create(play.deps, Caller("o", "owner", WORKSPACE), {"name": "mine"})
    workspaces.create(play.deps, OWNER, {"name": "mine"})
    assert [item["name"] for item in workspaces.list_workspaces(play.deps, OWNER)] == [WORKSPACE, "mine"]


def test_people_see_their_own(play):
    workspaces.create(play.deps, OWNER, {"name": "other"})
    me = Caller("r", "reader", WORKSPACE)
    assert [item["name"] for item in workspaces.list_workspaces(play.deps, me)] == [WORKSPACE]
    with pytest.raises(NotFound):
        workspaces.show(play.deps, me, "other")


def test_what_lives_keeps_it_open(play):
    play.site()
    with pytest.raises(Conflict):
        workspaces.delete(play.deps, OWNER, WORKSPACE)
    detaching.detach(play.deps, OWNER, WORKSPACE, "c1")
    token = tokens.create(play.deps, OWNER, WORKSPACE, "x", "reader")["token"]
    workspaces.delete(play.deps, OWNER, WORKSPACE)
    with pytest.raises(NotFound):
        workspaces.show(play.deps, OWNER, WORKSPACE)
    with pytest.raises(Unauthenticated):
        tokens.verify(play.deps, token)
    with pytest.raises(Conflict):
        workspaces.create(play.deps, OWNER, {"name": WORKSPACE})
    assert workspaces.list_workspaces(play.deps, OWNER) == []


def test_fields_change_and_the_name_does_not(play):
    changed = workspaces.update(play.deps, OWNER, WORKSPACE, {"description": "d", "name": "x"})
    assert (changed["description"], changed["name"]) == ("d", WORKSPACE)
    with pytest.raises(Refused):
        workspaces.update(play.deps, OWNER, WORKSPACE, {"descripton": "d"})


def test_aliases_are_replaced_whole(play):
    workspaces.set_aliases(play.deps, OWNER, WORKSPACE, {"compute": {"a": "b"}})
    assert workspaces.aliases(play.deps, OWNER, WORKSPACE)["compute"] == {"a": "b"}
    workspaces.set_aliases(play.deps, OWNER, WORKSPACE, {"image": {"x/*": "y/*"}})
    assert workspaces.aliases(play.deps, OWNER, WORKSPACE)["compute"] == {}


def test_the_default_one_is_made_once(play):
    workspaces.ensure(play.deps, OWNER, "default")
    workspaces.ensure(play.deps, OWNER, "default")
    assert workspaces.show(play.deps, OWNER, "default")["mlflow_tracking_uri"].endswith("/mlflow")
