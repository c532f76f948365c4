"""`ferry compute`."""

import json


def test_attach_show_detach(ferry):
    made = ferry("compute", "attach", "--type", "local", "-n", "c2", "--site", "cloud", "-w", "team")
    assert json.loads(made.out)["provisioning_state"] == "Succeeded", made.err
    assert "cloud" in ferry("compute", "list", "-o", "table").out
    assert json.loads(ferry("compute", "update", "-n", "c2", "--set", "description=x").out)["description"] == "x"
    refused = ferry("compute", "update", "-n", "c2", "--set", "site=other")
    assert (refused.code, refused.err.split()[1]) == (1, "[NotSupported]")
    assert ferry("compute", "detach", "-n", "c2", "-y").out == ""
    assert ferry("compute", "show", "-n", "c2").err.startswith("Error: [ComputeNotFound]")


def test_options_of_az_become_keys_of_the_file(ferry):
    said = ferry("compute", "attach", "--type", "Kubernetes", "-n", "k8s", "--resource-id", "site:cloud", "--namespace",
                 "ml", "--identity-type", "UserAssigned", "--user-assigned-identities", "a b")  # fmt: skip
    # the words were understood; only the site is the wrong one
    assert "site cloud is local, the compute says kubernetes" in said.err
