"""`ferry alias`."""

import json


def test_aliases_are_set_listed_and_forgotten(ferry):
    assert ferry("alias", "set", "-n", "cpu-cluster", "--to", "c1").code == 0
    assert ferry("alias", "set", "-n", "gpu-*", "--to", "c1").code == 0
    assert json.loads(ferry("alias", "list").out)["compute"] == {"cpu-cluster": "c1", "gpu-*": "c1"}
    assert ferry("alias", "delete", "-n", "gpu-*").out == ""
    assert json.loads(ferry("alias", "list").out)["compute"] == {"cpu-cluster": "c1"}
    assert ferry("alias", "delete", "-n", "gpu-*").code == 1
