"""Environments: asset, alias, curated or inline, always one order with a key and a name."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import assets, environments, workspaces
from ferryml.domain.errors import FerryError
from ferryml.domain.orders import EnvironmentOrder
from ferryml.domain.spec.environment import Environment

INLINE = Environment(conda_file={"dependencies": ["python=3.11", "numpy", {"pip": ["mlflow"]}]})


def test_inline_ones_are_kept_under_a_hash_and_hidden(play):
    first = environments.order(play.deps, WORKSPACE, INLINE)
    assert environments.order(play.deps, WORKSPACE, INLINE) == first
    assert (first.python, first.conda, first.pip) == ("3.11", ("numpy",), ("mlflow",))
    assert assets.list_assets(play.deps, OWNER, WORKSPACE, "environment", None, "no", (0, 9))["items"] == []
    other = environments.order(play.deps, WORKSPACE, Environment(image="python:3.12"))
    assert other.name != first.name


def test_a_lock_is_kept_once_and_only_for_what_it_was_made_of(play):
    order = environments.order(play.deps, WORKSPACE, INLINE)
    environments.set_lock(play.deps, WORKSPACE, order.model_dump(), "# ferry lock 1\n# for something-else\nx==1\n")
    assert environments.order(play.deps, WORKSPACE, INLINE).lock == ""
    environments.set_lock(play.deps, WORKSPACE, order.model_dump(), "numpy==2\n")
    environments.set_lock(play.deps, WORKSPACE, order.model_dump(), "numpy==3\n")
    assert environments.order(play.deps, WORKSPACE, INLINE).lock == "numpy==2\n"
    environments.set_lock(play.deps, WORKSPACE, EnvironmentOrder(key="k", name="nobody").model_dump(), "x==1\n")


def test_aliases_come_before_the_shipped_table(play):
    alias = {"environment": {"AzureML-sklearn-1.5": {"image": "mine:1"}}, "image": {"mine:*": "mirror/mine:*"}}
    workspaces.set_aliases(play.deps, OWNER, WORKSPACE, alias)
    order = environments.order(play.deps, WORKSPACE, "azureml:AzureML-sklearn-1.5@latest")
    assert order.image == "mirror/mine:1"


def test_a_registered_name_wins_over_a_curated_one(play):
    document = {"name": "AzureML-sklearn-1.5", "image": "own:1"}
    assets.create(play.deps, OWNER, WORKSPACE, "environment", document)
    assert environments.order(play.deps, WORKSPACE, "azureml:AzureML-sklearn-1.5:1").image == "own:1"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("azureml:none:1", "NotFound"),
        ("azureml:AzureML-nothing-like-it@latest", "NotFound"),
        ("azureml://registries/mine/environments/e/versions/1", "NotSupported"),
        ("not a reference", "BadReference"),
    ],
)
def test_unknown_ones_are_refused(play, wanted, code):
    with pytest.raises(FerryError) as caught:
        environments.order(play.deps, WORKSPACE, wanted)
    assert caught.value.code == code
