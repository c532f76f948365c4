"""The role matrix, written out, so that a change of it is a change of this file."""

import pytest

from ferryml.domain.access import RIGHTS, ROLES, Caller, demand
from ferryml.domain.errors import Forbidden, NotFound

MATRIX = {
    # right: owner, it-operator, data-scientist, reader, scorer
    "workspace.read": "yyyyn",
    "workspace.write": "ynnnn",
    "asset.read": "yyyyn",
    "asset.write": "ynynn",
    "datastore.write": "yynnn",
    "compute.write": "yynnn",
    "webhook.write": "yynnn",
    "job.read": "yyyyn",
    "job.write": "ynynn",
    "endpoint.read": "yyyyn",
    "endpoint.write": "ynynn",
    "endpoint.keys": "ynynn",
    "endpoint.score": "ynyny",
    "token.write": "ynnnn",
    "audit.read": "yynnn",
    "site.read": "yyyyn",
    "site.write": "yynnn",
    "server.write": "ynnnn",
}


@pytest.mark.parametrize(
    ("right", "role", "may"),
    [(right, role, may == "y") for right, row in MATRIX.items() for role, may in zip(ROLES, row, strict=True)],
)
def test_each_role_has_its_rights_and_no_other(right, role, may):
    assert Caller("ann", role, "*").may(right, "team") is may


def test_the_matrix_names_every_right():
    assert set(MATRIX) == set(RIGHTS["owner"])


def test_another_workspace_does_not_exist():
    with pytest.raises(NotFound):
        demand(Caller("ann", "owner", "mine"), "job.read", "yours")


def test_an_owner_of_one_workspace_does_not_manage_sites():
    with pytest.raises(Forbidden) as caught:
        demand(Caller("ann", "owner", "mine"), "site.write", "")
    assert "all workspaces" in caught.value.hint


def test_a_reader_is_told_whom_to_ask():
    with pytest.raises(Forbidden) as caught:
        demand(Caller("ann", "reader", "mine"), "job.write", "mine")
    assert "data-scientist" in caught.value.hint
