"""`ferry compute`."""

import json

from site_answers import a_cluster, a_finding, told


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


def test_a_cluster_is_attached_as_az_does_and_says_what_is_wrong(desk, ferry):
    a_cluster(desk)
    options = ("--type", "Kubernetes", "--resource-id", "site:kube", "-w", "team", "-g", "rg")
    refused = ferry("compute", "attach", "-n", "kc", "--namespace", "nowhere", *options)
    assert refused.err.startswith("Error: [NamespaceMissing]")
    assert "kubectl create namespace nowhere" in refused.err
    told(desk, "kube", doctor=[a_finding("warning")])
    made = ferry("compute", "attach", "-n", "kc", "--namespace", "ml", *options)
    assert json.loads(made.out)["provisioning_state"] == "Succeeded"
    assert "warning: DnsFailed" in made.err
    listed = ferry("compute", "list", "--type", "Kubernetes", "--query", "[].name", "-o", "tsv")
    assert listed.out == "kc\n"
    assert "Succeeded" in ferry("compute", "show", "-n", "kc", "-o", "table").out
    assert ferry("compute", "detach", "-n", "kc", "--running", "keep", "-y").out == ""


def test_a_site_that_has_not_joined_leaves_it_creating(desk, ferry):
    ferry("site", "create", "-n", "later")
    made = ferry("compute", "attach", "-n", "kl", "--type", "kubernetes", "--site", "later")
    assert "kl is Creating until site later joins" in made.err
