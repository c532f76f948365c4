"""The verbs of things with a name."""

import json


def test_a_datastore_lives_and_dies(ferry, alone):
    (alone / "ds.yml").write_text("name: plant\ntype: local\nroot: /data\nsite: cloud\n")
    made = ferry("datastore", "create", "-f", "ds.yml", "--set", "description=here")
    assert json.loads(made.out)["description"] == "here", made.err
    assert "plant" in ferry("datastore", "list", "-o", "table").out
    assert json.loads(ferry("datastore", "update", "-n", "plant", "--set", "tags.a=b").out)["tags"] == {"a": "b"}
    gone = ferry("datastore", "delete", "-n", "plant")
    assert (gone.code, gone.out, gone.err) == (0, "", "")
    assert ferry("datastore", "show", "-n", "plant").code == 1


def test_a_workspace_is_made_from_options_alone(ferry):
    assert ferry("workspace", "create", "-n", "other").code == 0
    assert json.loads(ferry("workspace", "show", "-n", "other").out)["mlflow_tracking_uri"].endswith("/mlflow")
    assert json.loads(ferry("workspace", "update", "-n", "other", "--set", "description=x").out)["description"] == "x"
    assert ferry("workspace", "delete", "-n", "other", "-y").code == 0
