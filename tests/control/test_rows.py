"""How rows are named and shown."""

import pytest

from ferryml.control.ports import Row
from ferryml.control.rows import identity, missing, need, need_workspace, page, parsed, shown
from ferryml.domain.errors import NotFound, Refused
from ferryml.domain.spec.data import Data


def test_identities_are_paths():
    assert identity(Row(kind="data", workspace="w", name="d", version="1")) == "/workspaces/w/datas/d/versions/1"
    deployment = Row(kind="deployment", workspace="w", name="blue", parent="shop")
    assert identity(deployment) == "/workspaces/w/online-endpoints/shop/deployments/blue"
    assert identity(Row(kind="site", name="s")) == "/sites/s"


def test_spec_comes_first_and_ours_below_ferry():
    made = shown(Row(kind="data", workspace="w", name="d", version="1", spec={"path": "x"}, seq=3), {"mine": 1})
    assert (made["path"], made["ferry"]["mine"], made["provisioning_state"]) == ("x", 1, "Succeeded")


def test_pages_say_where_to_go_on():
    rows = [Row(kind="data", name="d", seq=seq) for seq in (9, 8)]
    assert page(rows, 2, [])["next"] == 8
    assert page(rows, 3, [])["next"] is None


def test_what_is_not_there_is_named(play):
    assert missing("compute", "w", "c").code == "ComputeNotFound"
    assert "'e@latest'" in missing("environment", "w", "e", "@latest").message
    assert "`ferry online-endpoint list`" in missing("endpoint", "w", "e").hint
    with play.store.read() as tx:
        with pytest.raises(NotFound, match=r"d:1"):
            need(tx, "data", "team", "d", "1")
        with pytest.raises(NotFound):
            need_workspace(tx, "none")


def test_documents_are_parsed_with_all_their_faults():
    with pytest.raises(Refused) as caught:
        parsed(Data, {"pth": "x", "nme": "y"})
    assert len(caught.value.details["errors"]) == 3
