"""`ferry site manifests`."""

import pytest
from ruamel.yaml import YAML

from ferryml.cli.site_manifests import _values
from ferryml.domain.errors import Refused

ARGS = ("site", "manifests", "-n", "onprem", "--server", "https://ferry.example", "--part", "agent")


def documents(text):
    return list(YAML(typ="safe", pure=True).load_all(text))


def test_programs_with_the_token(ferry):
    made = documents(ferry(*ARGS, "--join-token", "join_onprem_x", "--namespace", "mine").out)
    assert {body["metadata"]["name"] for body in made if body["kind"] == "Deployment"} == {
        "ferry-agent",
        "ferry-gateway",
    }
    places = {body["metadata"].get("namespace", "mine") for body in made if body["kind"] != "RoleBinding"}
    assert places == {"mine", "ferry-environments"}
    assert any(body.get("data", {}).get("token") for body in made if body["kind"] == "Secret")


def test_values_are_those_of_the_chart(ferry, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text("namespaces: [team-a]\nimages: {tag: '7'}\n")
    made = documents(ferry(*ARGS, "--file", str(file), "--set", "agent.replicas=2").out)
    (agent,) = [b for b in made if b["kind"] == "Deployment" and b["metadata"]["name"] == "ferry-agent"]
    assert agent["spec"]["replicas"] == 2
    assert agent["spec"]["template"]["spec"]["containers"][0]["image"] == "ferry-agent:7"
    assert "team-a" in {body["metadata"].get("namespace") for body in made}


@pytest.mark.parametrize("wrong", ["site.prxy=x", "cluster.gnag=x", "agnt=1", "cluster.gang=perhaps"])
def test_a_wrong_value_is_named(wrong):
    with pytest.raises(Refused) as caught:
        _values(None, [wrong])
    assert wrong.partition("=")[0].split(".")[-1] in caught.value.message
