"""`ferry site`."""

import json

from site_answers import a_cluster, a_finding, told


def test_a_site_is_named_and_joined_by_the_command_it_prints(ferry):
    made = json.loads(ferry("site", "create", "-n", "edge", "--zone", "eu", "--set", "python=nearest").out)
    assert made["site"]["zone"] == "eu"
    assert made["site"]["settings"] == {"python": "nearest"}
    assert made["join_token"] in made["command"]
    again = json.loads(ferry("site", "token", "-n", "edge").out)
    assert again["join_token"] != made["join_token"]
    assert "Pending" in ferry("site", "list", "-o", "table").out
    assert ferry("site", "delete", "-n", "edge", "-y").out == ""


def test_the_name_may_be_a_word_and_the_lines_are_told(ferry):
    said = ferry("site", "create", "onprem", "--zone", "eu-dc1")
    made = json.loads(said.out)
    assert (made["site"]["name"], made["site"]["zone"]) == ("onprem", "eu-dc1")
    assert "helm upgrade --install ferry-agent" in made["helm"]
    assert made["helm"] in said.err
    assert made["kubectl"] in said.err


def test_the_doctor_speaks_in_lines_and_by_its_exit_code(desk, ferry):
    a_cluster(desk, doctor=[a_finding("warning")])
    said = ferry("site", "doctor", "kube", "--last")
    assert said.code == 0
    assert "warning  dns" in said.out
    assert said.out.endswith("kube: warning\n")
    told(desk, "kube", doctor=[a_finding()])
    failed = ferry("site", "doctor", "-n", "kube", "--last", "-o", "json")
    assert failed.code == 1
    assert json.loads(failed.out)["result"] == "failed"
    assert "ferry agent doctor" in ferry("site", "doctor", "kube").err
