"""Which workspace a token opens in MLflow."""

import pytest
from starlette.datastructures import Headers

from control_play import OWNER, WORKSPACE
from ferryml.control import tokens, workspaces
from ferryml.domain.errors import NotFound, Unauthenticated
from ferryml.server.mlflow.context import mlflow_name
from ferryml.server.mlflow_door import authoriser


@pytest.fixture
def opens(http):
    authorise = authoriser(http.deps)

    def tried(workspace="*", role="owner", named=""):
        token = tokens.create(http.deps, OWNER, workspace, "x", role)["token"]
        return authorise(Headers({"authorization": f"Bearer {token}", "x-mlflow-workspace": named}))

    tried.authorise = authorise
    return tried


def test_a_token_of_one_workspace_opens_that_one(opens):
    caller = opens(WORKSPACE, "reader", named="other")
    assert (caller.workspace, caller.role, caller.job) == (WORKSPACE, "reader", None)


def test_a_token_of_all_opens_the_one_that_is_named(http, opens):
    workspaces.create(http.deps, OWNER, {"name": "Lab_1"})
    assert opens(named="Lab_1").workspace == "Lab_1"
    assert opens(named=mlflow_name("Lab_1")).workspace == "Lab_1"
    with pytest.raises(NotFound):
        opens(named="none")
    workspaces.ensure(http.deps, OWNER, "default")
    assert opens().workspace == "default"


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "Bearer fry_x_y"])
def test_anything_else_opens_nothing(opens, header):
    with pytest.raises(Unauthenticated):
        opens.authorise(Headers({"authorization": header}))
