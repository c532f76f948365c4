"""Whose call this is."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.store.workspace.abstract_store import WorkspaceNameValidator
from mlflow.utils.workspace_context import get_request_workspace

from ferryml.domain.errors import Defect
from ferryml.server.mlflow.context import current, inside, mlflow_name


@given(st.text(min_size=1, max_size=80))
def test_every_name_becomes_one_that_mlflow_takes(name):
    WorkspaceNameValidator.validate(mlflow_name(name))


@given(st.sets(st.text("ab-_.A", min_size=1, max_size=6), min_size=2, max_size=2))
def test_two_workspaces_never_share_a_name(names):
    assert len({mlflow_name(name) for name in names}) == 2


def test_nobody_can_take_anothers_name():
    taken = mlflow_name("Red_Team")
    assert mlflow_name(taken) != taken
    assert mlflow_name("blue") == "blue"
    assert mlflow_name("api") != "api"


def test_blocks_nest_and_end():
    with inside("blue"):
        with inside("Red_Team"):
            assert (current(), get_request_workspace()) == ("Red_Team", mlflow_name("Red_Team"))
        assert (current(), get_request_workspace()) == ("blue", "blue")
    with pytest.raises(Defect):
        current()


def test_another_thread_does_not_inherit_it():
    seen: list[object] = []
    with inside("blue"):
        thread = threading.Thread(target=lambda: seen.append(get_request_workspace()))
        thread.start()
        thread.join(5)
    assert seen == [None]
